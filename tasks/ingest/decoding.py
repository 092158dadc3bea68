"""What a file is, by its bytes: a kind of table, or a thing that is none; and the encoding of a text.

An encoding is accepted by plain strict decoding of the whole file. A file that decodes but for a few
places keeps its encoding, and the rows of those places are set aside.
"""

import codecs
import io
import re
import zipfile
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any, Literal

from schemas.errors import SourceError
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.tables import UNDECODABLE

_HANDLER = "dssm-mark-undecodable"
_HEAD_BYTES = 1 << 16
_BLOCK_BYTES = 1 << 20
_ACCENTS = 0.1  # share of bytes beyond ASCII, below which a text is in Latin letters
_SELDOM = (  # fit Western texts, or Cyrillic ones
    *("cp1250", "cp1257", "iso8859", "mac", "cp775", "cp1006", "cp1125", "cp437", "cp85"),
    *("shift_jis_", "shift_jisx", "euc_jis", "johab"),
)
_ASCII = bytes(range(128))  # GB2312 has both bytes of a pair above it
_CONTROLS = re.compile(rb"[\0-\x08]")  # no text has
_PROBE = "a,b\n\n"
LONGEST_LINE = 1 << 24  # bytes
_MOSTLY = 10  # good characters beyond ASCII for an undecodable place, in a file that is damaged and no more
_FEWEST_HANZI = 10  # from which on a text counts as Chinese, and not as bytes that happen to decode to it
_FEWEST_LATE, _MOST_LATE = 0.05, 0.75  # share of hanzi in the second half: Chinese has a third to a half
_KANA = 0.08  # share of characters beyond ASCII that Chinese never has of kana, Greek and Cyrillic
_SHOWN_BYTES, _SHOWN_CHARACTERS, _READINGS = 200, 30, 3  # of a line in each likely encoding
_GUESSED_BYTES = 20_000
_FEW = 0.01  # share of lines that may be undecodable in a file of ASCII
_BINARY = 0.001  # share of NUL bytes beyond which a file is no text

_BOMS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TABLES = (
    (b"%PDF", "a PDF document"),
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
    (b"{\\rtf", "an RTF document"),
    (b"MIME-Version:", 'a web archive (MHTML), as Excel saves "single file web page"; save it as .xlsx'),
    (b"ORC", "an ORC file; write it as Parquet"),
    (b"\xff\xff\xff\xff", "an Arrow stream; write it as Parquet"),
    (b"\x1f\x9d", "a file packed by compress; unpack it first"),
    (b"version https://git-lfs", "a Git LFS pointer; fetch the file itself with `git lfs pull`"),
)
_SQL = re.compile(  # below comments and settings
    rb"(?:\s+|--[^\n]*|/\*.*?\*/;?|(?:SET|USE|DROP|BEGIN|START|SELECT pg|LOCK)\b[^\n;]*;)*"
    rb"(?:INSERT (?:\w+ ){0,2}INTO|REPLACE INTO|MERGE INTO|CREATE TABLE|COPY \S+ \()",
    re.I | re.S,
)
_ASKED, _REPLIED = (
    b"(?:" + b"|".join([*latin, *(word.encode(codec) for word in words for codec in ("utf-8", "gbk"))]) + rb")\s*"
    for latin, words in (((b"Q", b"Question"), ("问", "问题")), ((b"A", b"Answer"), ("答", "答案")))
)
_COLON = b"(?::|" + "：".encode() + b"|" + "：".encode("gbk") + b")"
_NO_TEXT_TABLES = tuple(  # texts that a program or a person laid out in another way
    (re.compile(pattern, re.M), what)
    for pattern, what in (
        (rb"\AID;P", "a SYLK sheet; save it as .xlsx"),
        (rb"\ATABLE\s+0,1\s", "a DIF sheet; save it as .xlsx"),
        (rb"\A<[A-Za-z_][\w:.-]*(?:\s[^<>]*)?>\s*<", "XML"),
        (rb"\A\{\|", "a table of MediaWiki; export it as CSV"),
        (rb"^\|===\s*$", "a table of AsciiDoc; export it as CSV"),
        (rb"\A\s*\\(?:begin|documentclass)\b", "LaTeX; export its table as CSV"),
        (
            rb"\A(?:/\*.*?\*/\s*)?(?:[\w.$]+\s*\(\s*[\[{]|(?:(?:var|let|const) )?[\w.]+\s*=\s*[\[{]|export default\b)",
            "a program; keep what stands in its outermost [ ] or { }, as JSON writes it",
        ),
        (
            rb"\A(?:\*{5,} \d+\. row \*{5,}|-\[ RECORD \d+ \]|Row 1:\s*$)",
            "a record a paragraph; write a table, without \\G or \\x",
        ),
        (
            rb"\A(?:[^\n]*\n){0,3}(?:-{3,}(?: +-{3,})+|={3,}(?: +={3,})+)\s*$",
            "a table in columns of fixed width; export it as CSV",
        ),
        (
            rb"\A(?:[^\s,|]+[ \t](?:\S+[ \t])*[BIES]-\S+\s*\n){0,20}(?:[^\s,|]+[ \t](?:\S+[ \t])*O\s*\n){2}",
            "words with marks (CoNLL)",
        ),
        (rb"\A\[\[[\w.]+\]\]\s*$", "a TOML file; write it as JSON or CSV"),
        (rb"\A(?:(?:From|To|Cc|Date|Subject|Received|Return-Path|Message-ID): [^\n]*\n){2}", "an e-mail"),
        (
            rb"\A" + _ASKED + _COLON + rb"[^\n]*\n\s*" + _REPLIED + _COLON,
            "questions with their answers below; write a row for each query: query,standard_question",
        ),
    )
)
_NO_ARCHIVES = {
    "word/document.xml": "a Word document; copy its table into a sheet",
    "ppt/presentation.xml": "a PowerPoint presentation; copy its table into a sheet",
    "Index/Document.iwa": "an Apple Numbers document; export it as .xlsx or CSV",
    "META-INF/MANIFEST.MF": "a Java archive",
}
Kind = Literal["text", "markup", "parquet", "xlsx", "xls", "xlsb", "ods", "zip"]
_PAGE = (b"<!doctype html", b"<html", b"<table")
_XML_WORKBOOK = b"urn:schemas-microsoft-com:office:spreadsheet"
_OF_7_BITS = ((re.compile(rb"\x1b\$[@B]"), "iso2022_jp"), (re.compile(rb"~\{[!-~]{2,}?~\}"), "hz"))


@dataclass(frozen=True)
class _Fit:
    """How well a file decodes in one encoding."""

    bad: int  # places that do not decode
    beyond_ascii: int  # characters
    common: int  # of these, those in GB2312
    lines: int
    early: int = 0  # of the common ones, hanzi whose sound begins with A to Q, and
    late: int = 0  # with R to Z: GB2312 lists them by sound
    kana: int = 0  # kana, Greek and Cyrillic

    def is_chinese(self) -> bool:
        """Whether a text that decodes as GB18030 has the characters of Chinese.

        Western accents, Shift-JIS and most of Big5 pair up to rare characters, ordinary Chinese is mostly in GB2312.
        Korean (EUC-KR) fills the rows of its first half alone, where Hangul lie; Big5 and EUC-JP become kana.
        """
        if 2 * self.common < self.beyond_ascii or not self.beyond_ascii or self.kana >= _KANA * self.beyond_ascii:
            return False
        hanzi = self.early + self.late
        few = hanzi < _FEWEST_HANZI
        return few or _FEWEST_LATE * hanzi <= self.late <= _MOST_LATE * hanzi


def find_kind(file: InputFile) -> Kind:
    """Return what the bytes of `file` are.

    Raises:
        SourceError: it is no table.
    """
    with reading(file), file.open() as stream:
        head = stream.read(_HEAD_BYTES).lstrip()
        if head.startswith(b"PAR1"):
            return "parquet"
        if head.startswith(b"\xd0\xcf\x11\xe0"):
            return "xls"
        if head.startswith(b"PK\x03\x04"):
            return _find_archive(file)
    if head[257:262] == b"ustar":
        raise SourceError(f"{file.name} is a TAR archive; unpack it and give the file to read")
    for magic, what in _NO_TABLES:
        if head.startswith(magic):
            raise SourceError(f"{file.name} looks like {what}: not a table{_accepted()}")
    if _SQL.match(head):
        raise SourceError(f"{file.name} looks like an SQL dump; export the table as CSV: not a table{_accepted()}")
    text = head.translate(None, b"\0").removeprefix(codecs.BOM_UTF8).removeprefix(codecs.BOM_UTF16_LE).lstrip()
    is_page = text[:64].lower().startswith(_PAGE) or (text.startswith(b"<") and b"<table" in text.lower())
    if is_page or (text.startswith(b"<?xml") and _XML_WORKBOOK in text):
        return "markup"
    if found := next((what for pattern, what in _NO_TEXT_TABLES if pattern.search(head)), None):
        raise SourceError(f"{file.name} looks like {found}: not a table{_accepted()}")
    if text.startswith((b"<?xml", b"<!DOCTYPE")):
        raise SourceError(f"{file.name} looks like XML: not a table{_accepted()}")
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
            codecs.register_error(_HANDLER, _mark)
            with io.TextIOWrapper(io.BytesIO(_PROBE.encode(given)), given, newline="") as text:
                b"\xff\n".decode(given, _HANDLER)
                if text.read() != _PROBE:  # base64, idna and undefined are codecs, too
                    raise LookupError
            name = codecs.lookup(given).name
        except (LookupError, UnicodeError):
            raise SourceError(
                f"there is no encoding {given!r} (source.encoding); try utf-8, gb18030, utf-16, big5 or cp1252"
            ) from None
        _refuse_wide(file, name)
        return name
    with reading(file), file.open() as stream:
        head = stream.read(_HEAD_BYTES)
        for bom, encoding in _BOMS:
            if head.startswith(bom):
                return encoding
        if wide := _find_utf16(head):
            return wide
        _refuse_binary(file, head.count(0), len(head))
        _refuse_7_bits(file, head)
    first_bad = _first_undecodable(file, "utf-8")
    if first_bad is None:
        return "utf-8"
    utf8, gb18030 = _fit(file, "utf-8"), _fit(file, "gb18030")
    # Ten good characters beyond ASCII for a broken place: no other encoding makes so many by accident. Two of Chinese
    # are enough: lines in GBK were added to UTF-8.
    chinese = utf8.common >= max(_FEWEST_HANZI, 2 * utf8.bad) and utf8.is_chinese()
    if utf8.beyond_ascii >= _MOSTLY * utf8.bad or chinese:
        return "utf-8"
    if gb18030.beyond_ascii >= _MOSTLY * gb18030.bad and gb18030.is_chinese():
        return "gb18030"
    if utf8.bad <= max(1, _FEW * utf8.lines):
        return "utf-8"
    readings = _find_readings(file, first_bad)
    likeliest = next(iter(readings), "big5")
    shown = "; ".join(f"{name} {text!r}" for name, text in readings.items()) or "nothing in any encoding known here"
    raise SourceError(
        f"{file.name}: its encoding is not known: it is not UTF-8 (from byte {first_bad} on) and no Chinese GB18030. "
        f"One line of it reads as {shown}. Name the right one, e.g. --set source.encoding={likeliest}, "
        "or export it as UTF-8"
    )


def _refuse_wide(file: InputFile, encoding: str) -> None:
    """Refuse a file that is to be read in two or four bytes a character, and is not; the setting is wrong."""
    if not encoding.startswith(("utf-16", "utf-32")):
        return
    with reading(file), file.open() as stream:
        head = stream.read(_HEAD_BYTES)
    marked = head.startswith(tuple(bom for bom, name in _BOMS if name == encoding[:6]))
    if head and not marked and (b"\0" not in head or len(encoding) == 6):  # utf-16-le needs no mark
        why = "not even its line ends have a NUL byte" if b"\0" not in head else "it does not begin with its mark"
        raise SourceError(
            f"{file.name} is not {encoding}, as source.encoding says: {why}. Leave the setting out, and the "
            "encoding is detected"
        )


def _find_readings(file: InputFile, offset: int) -> dict[str, str]:
    """Return one line of a file in the encodings that make most sense of it, the likeliest first."""
    with file.open() as stream:
        stream.seek(max(0, offset - _SHOWN_BYTES))
        before, after = stream.read(min(offset, _SHOWN_BYTES)), stream.read(_GUESSED_BYTES)
    line = before.splitlines()[-1] if before and not before.endswith((b"\n", b"\r")) else b""
    line += after.split(b"\n")[0].rstrip(b"\r")[:_SHOWN_BYTES]
    readings: dict[str, str] = {}
    for encoding in _guess_encodings(after):
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError as error:
            if error.end < len(line) - 4:  # else the line was cut within a character
                continue
            text = line[: error.start].decode(encoding)
        if text not in readings.values():
            readings[encoding] = text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"
    return dict(list(readings.items())[:_READINGS])


def _guess_encodings(sample: bytes) -> list[str]:
    """Return encodings that a text may have, the likeliest first."""
    from charset_normalizer import from_bytes  # 0.05 s that only odd files should cost

    # It takes Japanese in EUC-JP for Chinese: kana stand where GB2312 has them too, and Chinese has none.
    first = ["euc_jp"] if _measure(sample.decode("gb18030", "replace")).kana >= _KANA else []
    last = ["cp949", "big5", "cp932", "cp1252", "gb18030"]
    found = [match.encoding for match in from_bytes(sample, cp_exclusion=["utf_8", "utf_16", "utf_32", "utf_7"])]
    usual = [encoding for encoding in found if not encoding.startswith(_SELDOM)]
    western = len(sample.translate(None, _ASCII)) < _ACCENTS * len(sample)
    return list(dict.fromkeys([*first, *(["cp1252"] if western else []), *usual, *found, *last]))


def open_text(file: InputFile, encoding: str, longest_line: int | None = LONGEST_LINE) -> io.TextIOWrapper:
    """Open a text with its line ends kept; bytes that do not decode become `UNDECODABLE`.

    Args:
        file: the text.
        encoding: of it.
        longest_line: in bytes; None: whoever reads it does so in blocks.

    Raises:
        SourceError: (while reading) a line is longer.
    """
    codecs.register_error(_HANDLER, _mark)
    encoding = "utf-8-sig" if encoding == "utf-8" else encoding  # a BOM is never part of the first column's name
    stream = file.open() if longest_line is None else io.BufferedReader(_LineGuard(file, longest_line), _HEAD_BYTES)
    return io.TextIOWrapper(stream, encoding, errors=_HANDLER, newline="")


class _LineGuard(io.RawIOBase):
    """The bytes of a file; refuses a line that would not fit into memory, as a few kB may unpack to."""

    def __init__(self, file: InputFile, longest: int) -> None:
        self._name, self._stream, self._longest, self._since = file.name, file.open(), longest, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        block = self._stream.read(len(buffer))
        buffer[: len(block)] = block
        end = max(block.rfind(b"\n"), block.rfind(b"\r"))
        self._since = len(block) - end - 1 + (self._since if end < 0 else 0)
        if self._since > self._longest:
            raise SourceError(f"{self._name} has a line of more than {self._longest >> 20} MB: not a table of texts")
        return len(block)

    def close(self) -> None:
        self._stream.close()
        super().close()


def _mark(error: UnicodeError) -> tuple[str, int]:
    return UNDECODABLE, error.end  # type: ignore[attr-defined]  # decoding raises UnicodeDecodeError


def _find_archive(file: InputFile) -> Kind:
    try:
        with file.open() as stream, zipfile.ZipFile(stream) as archive:
            names = set(archive.namelist())
            if "mimetype" in names and b"opendocument.spreadsheet" in archive.open("mimetype").read(_BLOCK_BYTES):
                return "ods"
    except zipfile.BadZipFile:
        raise SourceError(f"{file.name} is a torn Excel workbook or ZIP archive; copy or export it again") from None
    if file.suffix == ".ods":
        raise SourceError(f"{file.name} is named like an OpenDocument sheet but is none; save it again, or as .xlsx")
    for part, what in _NO_ARCHIVES.items():
        if part in names:
            raise SourceError(f"{file.name} is {what}: not a table{_accepted()}")
    return "xlsb" if "xl/workbook.bin" in names else "xlsx" if "xl/workbook.xml" in names else "zip"


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


def _refuse_7_bits(file: InputFile, head: bytes) -> None:
    """Refuse a text whose bytes are ASCII and whose characters are not: every decoder would take it."""
    for mark, encoding in _OF_7_BITS:
        found = mark.search(head)
        if not found or not head.isascii():
            continue
        start = head.rfind(b"\n", 0, found.start()) + 1
        line = head[start:].split(b"\n")[0].decode(encoding, "replace")
        raise SourceError(
            f"{file.name}: its encoding seems to be {encoding}: one line of it reads as {line[:_SHOWN_CHARACTERS]!r}. "
            f"Name it: --set source.encoding={encoding}, or export it as UTF-8"
        )


def _refuse_binary(file: InputFile, nul_bytes: int, size: int) -> None:
    if nul_bytes <= _BINARY * size:
        return
    if at_end := _count_last_nul(file):
        raise SourceError(
            f"{file.name} ends in {at_end} NUL bytes: it was cut off as it was written; copy or export it again"
        )
    raise SourceError(
        f"{file.name} looks like a binary file ({nul_bytes} NUL bytes in {size} bytes): not a table{_accepted()}"
    )


def _count_last_nul(file: InputFile) -> int:
    """Return how many NUL bytes end a text; 0 of what is none."""
    last = 0
    with file.open() as stream:
        while block := stream.read(_BLOCK_BYTES):
            text = block.rstrip(b"\0")
            if (text and last) or _CONTROLS.search(text):
                return 0
            last += len(block) - len(text)
    return last


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
    found, size, nul_bytes = Counter[str](), 0, 0
    with reading(file), open_text(file, encoding, longest_line=None) as stream:
        while text := stream.read(_BLOCK_BYTES):
            found.update(asdict(_measure(text)))
            size += len(text)
            nul_bytes += text.count("\0")
    _refuse_binary(file, nul_bytes, max(1, size))
    return _Fit(**found)


def _measure(text: str) -> _Fit:
    ascii_characters = len(text.encode("ascii", "ignore"))
    marks = text.count(UNDECODABLE) + text.count("\ufffd")
    pairs = text.encode("gb2312", "ignore").translate(None, _ASCII)
    leads = Counter(pairs[0::2])
    return _Fit(
        bad=marks,
        beyond_ascii=len(text) - ascii_characters - marks,
        common=len(pairs) // 2,
        lines=text.count("\n"),
        early=sum(leads[lead] for lead in range(0xB0, 0xC9)),
        late=sum(leads[lead] for lead in range(0xC9, 0xD8)),
        kana=sum(leads[lead] for lead in range(0xA4, 0xA8)),
    )


def _accepted() -> str:
    return ". Tables are CSV, TSV, JSON, Parquet and workbooks (.xlsx, .xls, .xlsb, .ods)"
