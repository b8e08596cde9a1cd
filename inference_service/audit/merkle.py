"""The Merkle tree of RFC 6962 (section 2.1) with the verification algorithms of RFC 9162 (sections 2.1.3.2, 2.1.4.2).

Leaf hash: SHA-256 of 0x00 and the entry. Node hash: SHA-256 of 0x01, left and right hash. Nothing here knows where
hashes come from: proofs ask a function for the hashes of complete subtrees.

Everything takes leaf *hashes*; ``subtree(level, position)`` is the hash over the 2**level leaves that begin with leaf
``position * 2**level`` (leaves are counted from 0).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

Subtree = Callable[[int, int], bytes]

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
"""Root of the tree without leaves."""


class ProofError(ValueError):
    """A proof does not show what it claims."""


def leaf_hash(entry: bytes) -> bytes:
    """Hash of a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of an inner node."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Growing:
    """A tree that leaves are added to; keeps one hash per complete subtree on its right edge (at most 64).

    ``completed(level, position, hash)`` is told of every subtree of a level in ``levels`` once it is complete.
    """

    def __init__(
        self,
        size: int = 0,
        edge: Iterable[bytes] = (),
        *,
        levels: frozenset[int] = frozenset(),
        completed: Callable[[int, int, bytes], None] | None = None,
    ) -> None:
        self.size = size
        self._edge = list(edge)
        self._levels = levels
        self._completed = completed

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        edge, size, level = self._edge, self.size, 0
        while size & 1:
            leaf = hashlib.sha256(b"\x01" + edge.pop() + leaf).digest()
            size >>= 1
            level += 1
            if level in self._levels and self._completed is not None:
                self._completed(level, size, leaf)
        edge.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves so far."""
        return _fold(self._edge)


def edge_of(size: int) -> Iterator[tuple[int, int]]:
    """Level and position of the complete subtrees that a tree of ``size`` leaves is made of, from the left."""
    begin = 0
    for level in range(size.bit_length() - 1, -1, -1):
        if size >> level & 1:
            yield level, begin >> level
            begin += 1 << level


def root(size: int, subtree: Subtree) -> bytes:
    """The root of the first ``size`` leaves."""
    return _fold([subtree(level, position) for level, position in edge_of(size)])


def inclusion_proof(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """The audit path of leaf ``index`` in the tree of ``size`` leaves, from the leaf upwards (RFC 6962, 2.1.1).

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not among {size}")
    return _path(index, 0, size, subtree)


def consistency_proof(old_size: int, new_size: int, subtree: Subtree) -> list[bytes]:
    """The proof that the tree of ``old_size`` leaves is a prefix of that of ``new_size`` (RFC 6962, 2.1.2).

    Raises:
        ValueError: not 0 < old_size <= new_size.
    """
    if not 0 < old_size <= new_size:
        raise ValueError(f"no proof from {old_size} to {new_size} leaves")
    return _subproof(old_size, 0, new_size, True, subtree)


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], expected_root: bytes) -> None:
    """Check an audit path.

    Raises:
        ProofError: the leaf is not shown to be at ``index`` of the tree with this root.
    """
    if not 0 <= index < size:
        raise ProofError(f"leaf {index} is not among {size}")
    position, last, current = index, size - 1, leaf
    for step in path:
        if last == 0:
            raise ProofError("the path is too long")
        if position & 1 or position == last:
            current = node_hash(step, current)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            current = node_hash(current, step)
        position, last = position >> 1, last >> 1
    if last or current != expected_root:
        raise ProofError("the path does not lead to the root")


def verify_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, path: Sequence[bytes]) -> None:
    """Check that the older tree is a prefix of the newer.

    Raises:
        ProofError: it is not shown to be.
    """
    if not 0 < old_size <= new_size:
        raise ProofError(f"no proof from {old_size} to {new_size} leaves")
    if old_size == new_size:
        if path or old_root != new_root:
            raise ProofError("two roots for the same size")
        return
    steps = list(path) if old_size & (old_size - 1) else [old_root, *path]
    if not steps:
        raise ProofError("the proof is empty")
    position, last = old_size - 1, new_size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise ProofError("the proof is too long")
        if position & 1 or position == last:
            old, new = node_hash(step, old), node_hash(step, new)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, step)
        position, last = position >> 1, last >> 1
    if last or old != old_root or new != new_root:
        raise ProofError("the proof does not lead to both roots")


def _fold(edge: Sequence[bytes]) -> bytes:
    if not edge:
        return EMPTY_ROOT
    folded = edge[-1]
    for left in reversed(edge[:-1]):
        folded = node_hash(left, folded)
    return folded


def _split(count: int) -> int:
    """The largest power of two below ``count`` (which is at least 2)."""
    return 1 << ((count - 1).bit_length() - 1)


def _range(begin: int, count: int, subtree: Subtree) -> bytes:
    """Hash over the leaves ``begin`` to ``begin + count``; ``begin`` is a multiple of a power of two >= count."""
    return _fold([subtree(level, (begin >> level) + position) for level, position in edge_of(count)])


def _path(index: int, begin: int, count: int, subtree: Subtree) -> list[bytes]:
    if count == 1:
        return []
    left = _split(count)
    if index < left:
        return [*_path(index, begin, left, subtree), _range(begin + left, count - left, subtree)]
    return [*_path(index - left, begin + left, count - left, subtree), _range(begin, left, subtree)]


def _subproof(old: int, begin: int, count: int, whole: bool, subtree: Subtree) -> list[bytes]:
    if old == count:
        return [] if whole else [_range(begin, count, subtree)]
    left = _split(count)
    if old <= left:
        return [*_subproof(old, begin, left, whole, subtree), _range(begin + left, count - left, subtree)]
    return [*_subproof(old - left, begin + left, count - left, False, subtree), _range(begin, left, subtree)]
