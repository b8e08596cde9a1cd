"""Slides of several files (MIRAX, Hamamatsu VMS, DICOM series), sent as one ZIP: unpacked with care, in a child.

What is refused, with the reason: entries outside their folder, links and other special files, encryption, archives
inside, names that differ only by case, more than 20,000 entries, entries that unpack to more than they announced or
to absurdly more than they take, and anything that is not one slide of several files.
"""

from __future__ import annotations

import re
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tamsoat.inference_service.slides.errors import DamagedImageError, ImageTooLargeError, UnsupportedImageError
from tamsoat.inference_service.slides.one_shot import Tell
from tamsoat.inference_service.slides.sniff import DICOM, ZIP

MOST_ENTRIES = 20_000
MOST_DEPTH = 8
MOST_NAME = 200
MOST_RATIO = 200
"""Most times that an entry over a mebibyte may grow; what slides are made of is compressed already."""

MAIN = ".main"
"""Name of the small file in the unpacked folder that says which file to open."""
_BLOCK_BYTES = 2**20
_DRIVE = re.compile(r"^[A-Za-z]:")
_ARCHIVES = (b"PK\x03\x04", b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"BZh", b"\xfd7zXZ")
_SEVERAL = "a slide of several files: MIRAX (.mrxs and its folder), Hamamatsu VMS or VMU, or DICOM instances"


@dataclass(frozen=True)
class UnpackedSlide:
    """The file to open, and its media type for ``open_pyramid``."""

    path: Path
    media_type: str


def unpack(tell: Tell, archive: Path, folder: Path, most_bytes: int) -> None:
    """Unpack the slide in ``archive`` into the empty ``folder``; for :func:`.one_shot.run`.

    Raises:
        UnsupportedImageError: it holds no slide of several files, or what an archive of slides never has.
        ImageTooLargeError: it unpacks to more than ``most_bytes``, or to absurdly more than its size.
        DamagedImageError: it is damaged, or a part of the slide is missing.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            _check(entries, most_bytes)
            total = sum(entry.file_size for entry in entries) or 1
            done = 0
            for entry in entries:
                done += _write(opened, entry, folder / entry.filename)
                tell(done * 100 // total)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise DamagedImageError(f"the ZIP is damaged or cut short ({error}); pack it again") from None
    main, media_type = _main(folder)
    (folder / MAIN).write_text(f"{media_type}\n{main.relative_to(folder).as_posix()}", encoding="utf-8")


def unpacked(folder: Path) -> UnpackedSlide:
    """What :func:`unpack` left in ``folder``."""
    media_type, _, name = (folder / MAIN).read_text(encoding="utf-8").partition("\n")
    return UnpackedSlide(folder / name, media_type)


def _check(entries: list[zipfile.ZipInfo], most_bytes: int) -> None:
    if not 0 < len(entries) <= MOST_ENTRIES:
        raise UnsupportedImageError(f"the ZIP has {len(entries)} files: expected {_SEVERAL}")
    seen: set[str] = set()
    for entry in entries:
        _check_entry(entry)
        if entry.filename.lower() in seen:
            raise UnsupportedImageError("the ZIP has two files of the same name")
        seen.add(entry.filename.lower())
        if entry.file_size > max(_BLOCK_BYTES, MOST_RATIO * max(1, entry.compress_size)):
            raise ImageTooLargeError("a file in the ZIP unpacks to absurdly more than it takes: a decompression bomb")
    if sum(entry.file_size for entry in entries) > most_bytes:
        raise ImageTooLargeError(f"the ZIP unpacks to more than {most_bytes / 2**30:.1f} GiB")
    suffixes = {PurePosixPath(name).suffix for name in seen}
    if suffixes & {".vsi", ".ets"}:
        from tamsoat.inference_service.slides.tiff_pages import OLYMPUS

        raise UnsupportedImageError(OLYMPUS)


def _check_entry(entry: zipfile.ZipInfo) -> None:
    name = entry.filename
    parts = PurePosixPath(name).parts
    bad = (
        not parts
        or name.startswith("/")
        or "\\" in name
        or "\0" in name
        or _DRIVE.match(name)
        or any(part in (".", "..") or len(part) > MOST_NAME for part in parts)
        or len(parts) > MOST_DEPTH
        or name == MAIN
    )
    if bad:
        raise UnsupportedImageError("the ZIP has a file whose name leads out of its folder or is not a plain name")
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise UnsupportedImageError("the ZIP has a link or another special file")
    if entry.flag_bits & 0x1:
        raise UnsupportedImageError("the ZIP is encrypted: pack it without a password")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnsupportedImageError("the ZIP uses a rare compression: pack it as a plain ZIP (store or deflate)")


def _write(opened: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> int:
    """Write one entry; zipfile itself stops at its announced size and compares its checksum."""
    path.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with opened.open(entry) as source, path.open("xb") as out:
        while block := source.read(_BLOCK_BYTES):
            if written == 0 and block.startswith(_ARCHIVES):
                raise UnsupportedImageError("the ZIP has another archive inside: pack the files themselves")
            written += len(block)
            out.write(block)
    return written


def _main(folder: Path) -> tuple[Path, str]:
    """The file to open. A MIRAX slide loses its name: it may hold a patient's."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    openslides = [path for path in files if path.suffix.lower() in (".mrxs", ".vms", ".vmu")]
    dicoms = [path for path in files if _is_dicom(path)]
    if len(openslides) > 1 or (openslides and dicoms):
        raise UnsupportedImageError("the ZIP has several slides: send one at a time")
    if openslides:
        main = openslides[0]
        if main.suffix.lower() == ".mrxs":
            data = main.with_suffix("")
            if not (data / "Slidedat.ini").is_file():
                raise DamagedImageError(
                    "the MIRAX slide is incomplete: pack the .mrxs file together with the folder of the same name"
                )
            data.rename(main.parent / "slide")
            main = main.rename(main.parent / "slide.mrxs")
        return main, ZIP
    if dicoms:
        return _largest_instance(dicoms), DICOM
    raise UnsupportedImageError(f"the ZIP does not hold {_SEVERAL}; send a slide of one file as it is")


def _is_dicom(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _largest_instance(files: list[Path]) -> Path:
    """The instance of the largest level; all of them must be of one series.

    Raises:
        UnsupportedImageError: several series, or none of a whole slide.
    """
    import pydicom

    wanted = ["SOPClassUID", "SeriesInstanceUID", "ImageType", "TotalPixelMatrixColumns"]
    headers = [(path, pydicom.dcmread(path, stop_before_pixels=True, specific_tags=wanted)) for path in files]
    volumes = [(path, header) for path, header in headers if "VOLUME" in (header.get("ImageType") or [])]
    if not volumes:
        raise UnsupportedImageError("the DICOM files in the ZIP hold no level of a whole slide")
    if len({header.get("SeriesInstanceUID") for _, header in volumes}) > 1:
        raise UnsupportedImageError("the ZIP has several DICOM series: send one at a time")
    return max(volumes, key=lambda item: int(item[1].get("TotalPixelMatrixColumns") or 0))[0]
