"""Makes .xlsb and .xls as small as they can be: no library writes the first, and none well kept the second."""

import io
import struct
import zipfile
from collections.abc import Mapping, Sequence

Rows = Sequence[Sequence[str]]

_RELATION = (
    '<Relationship Id="{}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{}" Target="{}"/>'
)
_SECTOR, _END, _FREE, _FAT = 512, 0xFFFFFFFE, 0xFFFFFFFF, 0xFFFFFFFD


def make_xlsb(sheets: Mapping[str, Rows]) -> bytes:
    """Return a workbook in BIFF12, its texts shared."""
    texts = _texts(sheets)
    numbered = [*enumerate(sheets, start=1)]
    related = [_RELATION.format(f"rId{at}", "worksheet", f"worksheets/sheet{at}.bin") for at, _ in numbered]
    related.append(_RELATION.format("rId99", "sharedStrings", "sharedStrings.bin"))
    names = b"".join(
        _record12(156, struct.pack("<II", 0, at) + _wide(f"rId{at}") + _wide(name)) for at, name in numbered
    )
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as book:
        book.writestr("[Content_Types].xml", "<Types/>")
        book.writestr("xl/workbook.bin", _record12(131) + _record12(143) + names + _record12(144) + _record12(132))
        book.writestr(
            "xl/_rels/workbook.bin.rels",
            '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
            f"{''.join(related)}</Relationships>",
        )
        shared = b"".join(_record12(19, b"\0" + _wide(text)) for text in texts)
        count = struct.pack("<II", len(texts), len(texts))
        book.writestr("xl/sharedStrings.bin", _record12(159, count) + shared + _record12(160))
        for at, rows in enumerate(sheets.values(), start=1):
            book.writestr(f"xl/worksheets/sheet{at}.bin", _sheet12(rows, texts))
    return data.getvalue()


def make_xls(sheets: Mapping[str, Rows]) -> bytes:
    """Return a workbook in BIFF8, in a compound file."""
    texts = _texts(sheets)
    parts = [_sheet8(rows, texts) for rows in sheets.values()]
    names = [struct.pack("<HBB", 0, len(name), 1) + name.encode("utf-16-le") for name in sheets]
    shared = b"".join(struct.pack("<HB", len(text), 1) + text.encode("utf-16-le") for text in texts)
    table = _record8(0xFC, struct.pack("<II", len(texts), len(texts)) + shared)
    size = len(_begin8(5)) + sum(8 + len(name) for name in names) + len(table) + len(_record8(0x0A))
    starts = [size + sum(map(len, parts[:at])) for at in range(len(parts))]
    bound = b"".join(_record8(0x85, struct.pack("<I", start) + name) for start, name in zip(starts, names, strict=True))
    return _compound(_begin8(5) + bound + table + _record8(0x0A) + b"".join(parts))


def _texts(sheets: Mapping[str, Rows]) -> list[str]:
    return list(dict.fromkeys(cell for rows in sheets.values() for row in rows for cell in row if cell))


def _record12(kind: int, data: bytes = b"") -> bytes:
    head = bytes([kind]) if kind < 0x80 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size, rest = b"", len(data)
    while rest > 0x7F:
        size, rest = size + bytes([rest & 0x7F | 0x80]), rest >> 7
    return head + size + bytes([rest]) + data


def _wide(text: str) -> bytes:
    return struct.pack("<I", len(text)) + text.encode("utf-16-le")


def _sheet12(rows: Rows, texts: list[str]) -> bytes:
    cells = b"".join(
        _record12(0, struct.pack("<IIHHB", at, 0, 0, 0, 0) + bytes(4))
        + b"".join(
            _record12(7, struct.pack("<III", column, 0, texts.index(cell))) for column, cell in enumerate(row) if cell
        )
        for at, row in enumerate(rows)
    )
    size = struct.pack("<IIII", 0, len(rows) - 1, 0, max(map(len, rows)) - 1)
    return _record12(129) + _record12(148, size) + _record12(145) + cells + _record12(146) + _record12(130)


def _record8(kind: int, data: bytes = b"") -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def _begin8(kind: int) -> bytes:
    return _record8(0x809, struct.pack("<HHHHII", 0x600, kind, 0, 0, 0, 0))


def _sheet8(rows: Rows, texts: list[str]) -> bytes:
    size = _record8(0x200, struct.pack("<IIHHH", 0, len(rows), 0, max(map(len, rows)), 0))
    cells = b"".join(
        _record8(0xFD, struct.pack("<HHHI", at, column, 0, texts.index(cell)))
        for at, row in enumerate(rows)
        for column, cell in enumerate(row)
        if cell
    )
    return _begin8(0x10) + size + cells + _record8(0x0A)


def _compound(stream: bytes) -> bytes:
    """Return a compound file with the one stream Workbook: header, table of sectors, directory, stream."""
    stream = stream.ljust(max(4096, -(-len(stream) // _SECTOR) * _SECTOR), b"\0")
    sectors = len(stream) // _SECTOR
    table = [_FAT, _END, *range(3, sectors + 2), _END]
    head = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16) + struct.pack("<HHHHH", 0x3E, 3, 0xFFFE, 9, 6) + bytes(6)
    head += struct.pack("<IIIIIIIII", 0, 1, 1, 0, 4096, _END, 0, _END, 0) + struct.pack("<I", 0) + b"\xff" * 432
    sector = struct.pack(f"<{len(table)}I", *table).ljust(_SECTOR, b"\xff")
    entries = _entry("Root Entry", 5, 1, _END, 0) + _entry("Workbook", 2, _FREE, 2, len(stream))
    return head + sector + entries.ljust(_SECTOR, b"\0") + stream


def _entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
    wide = name.encode("utf-16-le")
    links = struct.pack("<BBIII", kind, 1, _FREE, _FREE, child)
    return (
        wide.ljust(64, b"\0") + struct.pack("<H", len(wide) + 2) + links + bytes(36) + struct.pack("<IQ", start, size)
    )
