"""The Merkle tree against the RFC's recursive definition and published test vectors."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tamsoat.inference_service.audit import merkle

# Leaves and roots of the test vectors that Certificate Transparency's implementations share (RFC 6962 trees).
LEAVES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657",
                                           "606162636465666768696a6b6c6d6e6f")]  # fmt: skip
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
PATHS = (  # (leaf counted from 1, size, path)
    (1, 8, ("96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4")),
    (6, 8, ("bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7")),
    (3, 3, ("fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",)),
)  # fmt: skip
CONSISTENCY = (
    (1, 8, ("96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4")),
    (6, 8, ("0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7")),
)  # fmt: skip


def naive_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, word for word, over leaf hashes."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return hashlib.sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


def hashes(count: int) -> list[bytes]:
    return [merkle.leaf_hash(str(number).encode()) for number in range(count)]


def subtrees(leaves: list[bytes]) -> merkle.Subtree:
    return lambda level, position: naive_root(leaves[position << level : (position + 1) << level])


def test_roots_of_the_published_vectors() -> None:
    growing = merkle.Growing()
    assert growing.root() == merkle.EMPTY_ROOT == hashlib.sha256(b"").digest()
    for leaf, expected in zip(LEAVES, ROOTS, strict=True):
        growing.append(merkle.leaf_hash(leaf))
        assert growing.root().hex() == expected


def test_paths_of_the_published_vectors() -> None:
    leaves = [merkle.leaf_hash(leaf) for leaf in LEAVES]
    for leaf, size, path in PATHS:
        assert tuple(step.hex() for step in merkle.inclusion_proof(leaf - 1, size, subtrees(leaves))) == path
    for old, new, path in CONSISTENCY:
        assert tuple(step.hex() for step in merkle.consistency_proof(old, new, subtrees(leaves))) == path


@given(st.integers(0, 200))
def test_growing_tree_has_the_recursive_root(size: int) -> None:
    leaves = hashes(size)
    completed: dict[tuple[int, int], bytes] = {}
    growing = merkle.Growing(
        levels=frozenset({2, 4}), completed=lambda level, at, digest: completed.update({(level, at): digest})
    )
    for leaf in leaves:
        growing.append(leaf)
    assert growing.root() == naive_root(leaves) == merkle.root(size, subtrees(leaves))
    subtree = subtrees(leaves)
    assert completed == {(level, at): subtree(level, at) for level in (2, 4) for at in range(size >> level)}


@given(st.integers(0, 150), st.integers(0, 50))
def test_a_tree_goes_on_from_its_edge(size: int, more: int) -> None:
    leaves = hashes(size + more)
    subtree = subtrees(leaves)
    growing = merkle.Growing(size, [subtree(level, at) for level, at in merkle.edge_of(size)])
    for leaf in leaves[size:]:
        growing.append(leaf)
    assert growing.root() == naive_root(leaves)


@given(st.data(), st.integers(1, 130))
def test_inclusion_is_proved_and_nothing_else(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves = hashes(size)
    root = naive_root(leaves)
    path = merkle.inclusion_proof(index, size, subtrees(leaves))
    assert len(path) <= (size - 1).bit_length()
    merkle.verify_inclusion(leaves[index], index, size, path, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda number: number != index) | st.just(size))
    wrong = [
        (leaves[index], other, size, path, root),
        (merkle.leaf_hash(b"forged"), index, size, path, root),
        (leaves[index], index, size, [*path, root], root),
        (leaves[index], index, size, path, merkle.leaf_hash(b"forged")),
    ]
    if path:
        flipped = list(path)
        at = data.draw(st.integers(0, len(path) - 1))
        flipped[at] = bytes([flipped[at][0] ^ 1]) + flipped[at][1:]
        wrong += [(leaves[index], index, size, flipped, root), (leaves[index], index, size, path[:-1], root)]
    for arguments in wrong:
        with pytest.raises(merkle.ProofError):
            merkle.verify_inclusion(*arguments)


@given(st.data(), st.integers(1, 130))
def test_consistency_is_proved_and_nothing_else(data: st.DataObject, new: int) -> None:
    old = data.draw(st.integers(1, new))
    leaves = hashes(new)
    old_root, new_root = naive_root(leaves[:old]), naive_root(leaves)
    path = merkle.consistency_proof(old, new, subtrees(leaves))
    merkle.verify_consistency(old, old_root, new, new_root, path)
    forged = merkle.leaf_hash(b"forged")
    wrong = [
        (old, forged, new, new_root, path),
        (old, old_root, new, forged, path),
        (old, old_root, new, new_root, [*path, forged]),
        (new + 1, old_root, new, new_root, path),
    ]
    if path:
        wrong.append((old, old_root, new, new_root, path[:-1]))
    for arguments in wrong:
        with pytest.raises(merkle.ProofError):
            merkle.verify_consistency(*arguments)


def test_what_cannot_be_proved_is_refused() -> None:
    for index, size in ((0, 0), (3, 3), (-1, 2)):
        with pytest.raises(ValueError, match="not among"):
            merkle.inclusion_proof(index, size, subtrees([]))
    for old, new in ((0, 3), (4, 3)):
        with pytest.raises(ValueError, match="no proof"):
            merkle.consistency_proof(old, new, subtrees([]))
