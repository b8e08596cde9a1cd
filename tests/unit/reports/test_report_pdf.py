"""The PDF of a report: archivable, tagged, complete in both languages, and the same bytes every time."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import unicodedata
from datetime import UTC, datetime
from pathlib import Path

import pikepdf
import pytest
import zxingcpp
from pikepdf import pdfa
from PIL import Image
from report_sample import ADDRESS, CODE, NAME, jpeg, sample

from tamsoat.inference_service.reports import sheet
from tamsoat.inference_service.reports.content import ReportContent, digest_of
from tamsoat.inference_service.reports.typesetting import PRINTABLE, TypesettingError, legible, typeset

ISSUED = datetime(2026, 11, 22, 14, 5, 9, tzinfo=UTC)
LANGUAGES = ("vi", "en")
needs_poppler = pytest.mark.skipif(
    shutil.which("pdftotext") is None, reason="poppler-utils is not installed (Debian: apt-get install poppler-utils)"
)


def ready(content: ReportContent, language: str) -> str:
    images = [jpeg(120 + 10 * number) for number in range(len(content.key_images))]
    return sheet.make(content, digest_of(content.canonical()), language, address=ADDRESS, images=images)


@pytest.fixture(scope="module", params=LANGUAGES)
def made(request: pytest.FixtureRequest) -> tuple[str, bytes]:
    """The sample report in one language."""
    return request.param, typeset(ready(sample(), request.param), ISSUED)


def text_of(pdf: bytes) -> str:
    """As a reader extracts it, one space between words."""
    done = subprocess.run(["pdftotext", "-raw", "-", "-"], input=pdf, capture_output=True, check=True, timeout=60)
    return " ".join(done.stdout.decode("utf-8").split())


def test_the_same_report_is_the_same_file(made: tuple[str, bytes]) -> None:
    language, pdf = made
    assert typeset(ready(sample(), language), ISSUED) == pdf


def test_the_file_is_archivable(made: tuple[str, bytes]) -> None:
    """The rules of ISO 19005-2, level A, that can be checked here; no validator of all of them can be installed."""
    language, raw = made
    with pikepdf.open(io.BytesIO(raw)) as pdf:
        assert not pdf.is_encrypted
        root = pdf.Root
        metadata = bytes(root.Metadata.read_bytes()).decode("utf-8")
        assert "<pdfaid:part>2</pdfaid:part>" in metadata
        assert "<pdfaid:conformance>A</pdfaid:conformance>" in metadata
        (intent,) = root.OutputIntents
        assert intent.S == "/GTS_PDFA1"
        assert len(intent.DestOutputProfile.read_bytes()) > 100
        assert not {"/OpenAction", "/AA", "/AcroForm", "/Names"} & set(root.keys())
        for item in pdf.objects:
            if isinstance(item, pikepdf.Dictionary):
                assert item.get("/S") not in ("/JavaScript", "/Launch", "/URI", "/SubmitForm")
                assert item.get("/Type") not in ("/EmbeddedFile", "/Filespec")
        fonts = [item for item in pdf.objects if isinstance(item, pikepdf.Dictionary) and item.get("/Type") == "/Font"]
        assert fonts
        for font in fonts:
            if font.Subtype == "/Type0":
                assert font.ToUnicode.read_bytes()
            else:
                assert {"/FontFile2", "/FontFile3"} & set(font.FontDescriptor.keys()), font.BaseFont
        assert str(root.Lang) == {"vi": "vi-VN", "en": "en-GB"}[language]


def test_the_file_is_accessible(made: tuple[str, bytes]) -> None:
    language, raw = made
    with pikepdf.open(io.BytesIO(raw)) as pdf:
        root = pdf.Root
        assert bool(root.MarkInfo.Marked)
        assert bool(root.ViewerPreferences.DisplayDocTitle)
        metadata = bytes(root.Metadata.read_bytes()).decode("utf-8")
        assert "<pdfuaid:part>1</pdfuaid:part>" in metadata
        words = sheet.words_of(language)
        assert words("document-title", label="TBH-26-004217", number=2) in metadata
        elements = [item for item in pdf.objects if isinstance(item, pikepdf.Dictionary) and "/Pg" in item]
        kinds = [str(item.get("/S")) for item in pdf.objects if isinstance(item, pikepdf.Dictionary) and "/S" in item]
        assert {"/H1", "/H2", "/P", "/L", "/Table", "/TH", "/TD", "/Figure"} <= set(kinds)
        assert elements
        figures = [item for item in pdf.objects if isinstance(item, pikepdf.Dictionary) and item.get("/S") == "/Figure"]
        described = [str(figure.Alt) for figure in figures if "/Alt" in figure]
        assert len(described) == 7  # six cells and the QR code
        assert words("verify-alt", url=f"{ADDRESS}/verify/{CODE}") in described


def test_an_allowlist_validator_finds_nothing_new(made: tuple[str, bytes]) -> None:
    """pikepdf's validator knows PDF/A-2b and approves only what it recognises; what it does not is listed here."""
    report = pdfa.validate_written(io.BytesIO(made[1]), "2b")
    known = (
        "CFF FDArray FontMatrix is not supported",  # subset of the embedded font
        "is not valid under any of the given schemas",  # destination of a bookmark, an array of its own
        "XMP namespace",  # PDF/A extension schemas and xmpTPg, which ISO 19005-2, 6.6.2.3 allows
        "XMP property",
        "structured XMP property xmpMM:History",
        "pdfaid:conformance is 'A'",  # the higher level that is claimed
    )
    unknown = [finding for finding in report.findings if not any(words in finding.message for words in known)]
    assert unknown == []


@needs_poppler
def test_the_text_is_complete_and_composed(made: tuple[str, bytes]) -> None:
    language, raw = made
    text = text_of(raw)
    assert text == unicodedata.normalize("NFC", text)
    golden = Path(__file__).with_name(f"report.{language}.txt").read_text(encoding="utf-8")
    assert text == " ".join(golden.split())
    assert NAME in text
    assert "[U+6F22] [U+1F600] #let x = 1 *đậm* $y$ @ref <b>." in text


@needs_poppler
def test_the_qr_code_leads_to_the_public_page(made: tuple[str, bytes], tmp_path: Path) -> None:
    subprocess.run(
        ["pdftoppm", "-r", "120", "-png", "-", str(tmp_path / "page")], input=made[1], check=True, timeout=60
    )
    pages = sorted(tmp_path.glob("page*.png"))
    assert len(pages) == 2
    found = [code.text for page in pages for code in zxingcpp.read_barcodes(Image.open(page))]
    assert found == [f"{ADDRESS}/verify/{CODE}"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_report_without_order_model_or_images_is_made(language: str) -> None:
    bare = sample(
        images=0, amended=False, patient=None, order=None, specimen=None, proposal=None, first_impression=None,
        result={"adequacy": "unsatisfactory", "reasons": ["scant-cells"], "general": None, "comment": ""},
        category="unsatisfactory",
    )  # fmt: skip
    content = json.loads(ready(bare, language))
    assert content["images"] is None
    assert content["banner"] is None
    assert content["ai"]["lines"] == [sheet.words_of(language)("ai-none")]
    assert content["result"]["general"][1] == sheet.words_of(language)("no-category")
    assert typeset(ready(bare, language), ISSUED).startswith(b"%PDF-1.7")


def test_an_image_that_cannot_be_read_is_said_to_be_missing() -> None:
    content = sample(images=1)
    told = sheet.make(content, "00", "vi", address=ADDRESS, images=[None])
    (item,) = json.loads(told)["images"]["items"]
    assert item["missing"] == sheet.words_of("vi")("image-missing")
    assert typeset(told, ISSUED).startswith(b"%PDF")


def test_every_character_that_passes_has_a_glyph() -> None:
    letters = [chr(code) for first, last in PRINTABLE for code in range(first, last + 1)]
    passing = [letter for letter in letters if legible(letter) == unicodedata.normalize("NFC", letter)]
    assert len(passing) > 1700
    every = "\n".join("a" + letter if unicodedata.combining(letter) else letter for letter in passing)
    assert typeset(ready(sample(images=0, result={"comment": every}), "vi"), ISSUED).startswith(b"%PDF")


def test_what_cannot_be_printed_is_named() -> None:
    assert legible("e\u0323\u0302") == "ệ"
    assert legible("a\u202eb\x00漢") == "a[U+202E]b[U+0000][U+6F22]"


def test_a_sheet_that_is_none_is_refused_without_its_words() -> None:
    with pytest.raises(TypesettingError) as refused:
        typeset('{"head": "Nguyễn Thị Bí Mật"}', ISSUED)
    assert "Bí Mật" not in refused.value.detail
