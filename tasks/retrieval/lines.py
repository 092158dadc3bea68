"""Lines of a file of queries as they come, a few at a time: none of them, and no file, is ever whole in memory."""

import re
from collections.abc import Iterator
from pathlib import Path

from schemas.display import in_one_line
from schemas.errors import SourceError

_CHUNK, _LONGEST_LINE = 1 << 16, 1 << 20  # bytes
_END = re.compile(rb"\r\n?|\n")  # of Windows, of old Macs, of all others; a query may hold other separators
_WANTED = "give a text file in UTF-8 with one query a line"
_KINDS = (  # what a file begins with that is no such text
    (b"\xff\xfe", "text in UTF-16"),
    (b"\xfe\xff", "text in UTF-16"),
    (b"PK\x03\x04", "an Excel workbook or ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x1f\x8b", "compressed (gzip)"),
    (b"BZh", "compressed (bzip2)"),
    (b"\xfd7zXZ\0", "compressed (xz)"),
    (b"(\xb5/\xfd", "compressed (zstd)"),
    (b"PAR1", "a Parquet file"),
    (b"%PDF-", "a PDF"),
)
_MOST_NUL = 0.001  # share of a text; torn logs hold a few


def read_lines(file: Path | str) -> Iterator[list[str]]:
    """Yield the lines of a file, UTF-8, without their ends; who writes into a pipe waits for the answer to each.

    Args:
        file: - is standard input.

    Raises:
        SourceError: it cannot be read, is no text in UTF-8, or has a line that is longer than any query.
    """
    number, rest, path, file = 0, b"", str(file), in_one_line(file)
    begun = after_cr = False
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as stream:
            while chunk := stream.read1(_CHUNK):
                if not begun:
                    _refuse_others(chunk, file)
                begun, ended = True, after_cr and chunk.startswith(b"\n")  # half of a line end
                after_cr = chunk.endswith(b"\r")
                *lines, rest = _END.split(rest + chunk[ended:])
                if len(rest) > _LONGEST_LINE:
                    raise SourceError(f"{file}:{number + len(lines) + 1} has over {_LONGEST_LINE:,} bytes: no query")
                yield [_decode(line, file, number + place) for place, line in enumerate(lines, 1)]
                number += len(lines)
    except (OSError, ValueError) as error:  # the second is of a path with NUL
        why = error.strerror if isinstance(error, OSError) else error
        raise SourceError(f"cannot read {file}: {why}; {_WANTED}") from error
    if rest:
        yield [_decode(rest, file, number + 1)]


def _refuse_others(head: bytes, file: Path | str) -> None:
    """Refuse what begins like another kind of file: it may decode, and every byte of it would be asked."""
    if what := next((what for magic, what in _KINDS if head.startswith(magic)), None):
        raise SourceError(f"{file} is {what}; {_WANTED}")
    if (nul := head.count(0)) > _MOST_NUL * len(head):
        raise SourceError(
            f"{file} is text in UTF-16, or none at all: {nul:,} of its first {len(head):,} bytes are NUL; {_WANTED}"
        )


def _decode(line: bytes, file: Path | str, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise SourceError(f"{file} is not UTF-8 (line {number}, byte {error.start}); save it as UTF-8") from error
