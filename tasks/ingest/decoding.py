"""What a file is, by its bytes: a kind of table, or a thing that is none; and the encoding of a text.

An encoding is accepted by plain strict decoding of the whole file. A file that decodes but for a few
places keeps its encoding, and the rows of those places are set aside.
"""

import codecs
import io
import zipfile
from dataclasses import dataclass
from typing import Literal

from schemas.errors import SourceError
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.tables import UNDECODABLE

_HANDLER = "dssm-mark-undecodable"
_HEAD_BYTES = 1 << 16
_BLOCK_BYTES = 1 << 20
_MOSTLY = 10  # good characters beyond ASCII for an undecodable place, in a file that is damaged and no more
_FEW = 0.01  # share of lines that may be undecodable in a file of ASCII
_BINARY = 0.001  # share of NUL bytes beyond which a file is no text

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TABLES = (
    (b"%PDF", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an old Excel file (.xls) or an encrypted workbook; save it as .xlsx without a password"),
    (b"PK\x03\x04", "a ZIP archive; unpack it first"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"\x28\xb5\x2f\xfd", "a Zstandard-compressed file; unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive; unpack it first"),
    (b"Rar!", "a RAR archive; unpack it first"),
    (b"SQLite format 3", "an SQLite database; export the table as CSV"),
    (b"ARROW1", "an Arrow file; write it as Parquet"),
    (b"Obj\x01", "an Avro file; write it as Parquet"),
    (b"\x89PNG", "a picture"),
    (b"\xff\xd8\xff", "a picture"),
    (b"GIF8", "a picture"),
    (b"\x7fELF", "a program"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file itself with `git lfs pull`"),
)
_MARKUP = (b"<!doctype html", b"<html", b"<table", b"<?xml")


@dataclass(frozen=True)
class _Fit:
    """How well a file decodes in one encoding."""

    bad: int  # places that do not decode
    beyond_ascii: int  # characters
    common: int  # of these, those in GB2312
    lines: int


def find_format(file: InputFile) -> Literal["parquet", "excel", "text"]:
    """Return what the bytes of `file` are.

    Raises:
        SourceError: it is no table.
    """
    with reading(file), file.open() as stream:
        head = stream.read(_HEAD_BYTES).lstrip()
        if head.startswith(b"PAR1"):
            return "parquet"
        if head.startswith(b"PK\x03\x04") and _is_workbook(file):
            return "excel"
    for magic, what in _NO_TABLES:
        if head.startswith(magic):
            raise SourceError(f"{file.name} looks like {what}: not a table{_accepted()}")
    if head[:64].lower().startswith(_MARKUP):
        raise SourceError(
            f"{file.name} looks like a web page or XML: not a table{_accepted()}. "
            "A login or error page saved in place of the file looks like this"
        )
    if file.suffix in (".parquet", ".pq") or (head and file.suffix in (".xlsx", ".xlsm")):
        kind = "a Parquet file" if file.suffix in (".parquet", ".pq") else "an Excel workbook"
        raise SourceError(f"{file.name} is named like {kind} but does not begin like one; export it again")
    return "text"


def find_encoding(file: InputFile, given: str | None) -> str:
    """Return the Python name of the encoding of a text file: `given`, else by its BOM, else by decoding all of it.

    Raises:
        SourceError: no encoding fits, or the file is binary.
    """
    if given:
        try:
            io.TextIOWrapper(io.BytesIO(), given)  # refuses codecs that are not of text, such as base64
            return codecs.lookup(given).name
        except LookupError:
            raise SourceError(
                f"there is no encoding {given!r} (source.encoding); try utf-8, gb18030, utf-16, big5 or cp1252"
            ) from None
    with reading(file), file.open() as stream:
        head = stream.read(_HEAD_BYTES)
        for bom, encoding in _BOMS:
            if head.startswith(bom):
                return encoding
        if wide := _find_utf16(head):
            return wide
        _refuse_binary(file, head.count(0), len(head))
    first_bad = _first_undecodable(file, "utf-8")
    if first_bad is None:
        return "utf-8"
    utf8, gb18030 = _fit(file, "utf-8"), _fit(file, "gb18030")
    # Ten good characters beyond ASCII for a broken place: no other encoding makes so many by accident.
    if utf8.beyond_ascii >= _MOSTLY * utf8.bad:
        return "utf-8"
    # Western accents and Big5 pair up to rare Chinese characters; ordinary Chinese is mostly in GB2312.
    if gb18030.beyond_ascii >= _MOSTLY * gb18030.bad and 2 * gb18030.common >= gb18030.beyond_ascii > 0:
        return "gb18030"
    if utf8.bad <= max(1, _FEW * utf8.lines):
        return "utf-8"
    first_bad_gb18030 = _first_undecodable(file, "gb18030")
    why_not_gb18030 = (
        "it decodes, but to characters that no Chinese text is made of"
        if first_bad_gb18030 is None
        else f"{gb18030.bad} undecodable places, the first at byte {first_bad_gb18030}"
    )
    raise SourceError(
        f"{file.name}: no encoding fits. Tried utf-8 ({utf8.bad} undecodable places, the first at byte {first_bad}), "
        f"gb18030 ({why_not_gb18030}) and utf-16 (neither a byte order mark nor its pattern of zeros). "
        "Export it as UTF-8, or name its encoding in source.encoding, e.g. cp1252 for Western Windows, big5 for Taiwan"
    )


def open_text(file: InputFile, encoding: str) -> io.TextIOWrapper:
    """Open a text with its line ends kept; bytes that do not decode become `UNDECODABLE`."""
    codecs.register_error(_HANDLER, _mark)
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding  # a BOM is never part of the first column's name
    return io.TextIOWrapper(file.open(), encoding, errors=_HANDLER, newline="")


def _mark(error: UnicodeError) -> tuple[str, int]:
    return UNDECODABLE, error.end  # type: ignore[attr-defined]  # decoding raises UnicodeDecodeError


def _is_workbook(file: InputFile) -> bool:
    try:
        with file.open() as stream, zipfile.ZipFile(stream) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except zipfile.BadZipFile:
        raise SourceError(f"{file.name} is a torn Excel workbook or ZIP archive; copy or export it again") from None


def _find_utf16(head: bytes) -> str | None:
    """Return the byte order of UTF-16 without a mark: ASCII characters, line ends at least, have a NUL on one side."""
    even, odd = head[0::2].count(0), head[1::2].count(0)
    pairs = len(head) // 2
    for encoding, own, other in (("utf-16-le", odd, even), ("utf-16-be", even, odd)):
        if own >= max(1, 0.01 * pairs) and own >= 4 * other:
            text = codecs.getincrementaldecoder(encoding)("replace").decode(head[: 2 * pairs])
            if "\n" in text or "\r" in text:
                return encoding
    return None


def _refuse_binary(file: InputFile, nul_bytes: int, size: int) -> None:
    if nul_bytes > _BINARY * size:
        raise SourceError(
            f"{file.name} looks like a binary file ({nul_bytes} NUL bytes in {size} bytes): not a table{_accepted()}"
        )


def _first_undecodable(file: InputFile, encoding: str) -> int | None:
    """Return the offset of the first byte that does not decode; None if the whole file does."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    consumed = nul_bytes = 0
    with reading(file), file.open() as stream:
        while True:
            block = stream.read(_BLOCK_BYTES)
            pending = len(decoder.getstate()[0])
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return consumed - pending + error.start
            if not block:
                _refuse_binary(file, nul_bytes, max(1, consumed))
                return None
            consumed += len(block)
            nul_bytes += block.count(0)


def _fit(file: InputFile, encoding: str) -> _Fit:
    """Decode the whole file, the undecodable places marked, and count."""
    bad = beyond = common = lines = size = nul_bytes = 0
    with reading(file), open_text(file, encoding) as stream:
        while text := stream.read(_BLOCK_BYTES):
            ascii_characters = len(text.encode("ascii", "ignore"))
            marks = text.count(UNDECODABLE)
            bad += marks
            beyond += len(text) - ascii_characters - marks
            common += (len(text.encode("gb2312", "ignore")) - ascii_characters) // 2
            lines += text.count("\n")
            size += len(text)
            nul_bytes += text.count("\0")
    _refuse_binary(file, nul_bytes, max(1, size))
    return _Fit(bad, beyond, common, lines)


def _accepted() -> str:
    return ". Tables are CSV, TSV, JSONL, Parquet and Excel (.xlsx)"
