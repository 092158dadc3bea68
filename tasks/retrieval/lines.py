"""Lines of a file of queries as they come, a few at a time: none of them, and no file, is ever whole in memory."""

from collections.abc import Iterator
from pathlib import Path

from schemas.errors import SourceError

_CHUNK, _LONGEST_LINE = 1 << 16, 1 << 20  # bytes


def read_lines(file: Path | str) -> Iterator[list[str]]:
    """Yield the lines of a file, UTF-8, without their ends; who writes into a pipe waits for the answer to each.

    Args:
        file: - is standard input.

    Raises:
        SourceError: it cannot be read, is not UTF-8, or has a line that is longer than any query.
    """
    number, rest, path = 0, b"", str(file)
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as stream:
            while chunk := stream.read1(_CHUNK):
                *lines, rest = (rest + chunk).split(b"\n")  # not splitlines: a query may hold other separators
                if len(rest) > _LONGEST_LINE:
                    raise SourceError(f"{file}:{number + len(lines) + 1} has over {_LONGEST_LINE:,} bytes: no query")
                yield [_decode(line, file, number + place) for place, line in enumerate(lines, 1)]
                number += len(lines)
    except (OSError, ValueError) as error:  # the second is of a path with NUL
        why = error.strerror if isinstance(error, OSError) else error
        raise SourceError(f"cannot read {file}: {why}; give a text file with one query a line") from error
    if rest:
        yield [_decode(rest, file, number + 1)]


def _decode(line: bytes, file: Path | str, number: int) -> str:
    try:
        return line.decode("utf-8-sig" if number == 1 else "utf-8").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise SourceError(f"{file} is not UTF-8 (line {number}, byte {error.start}); save it as UTF-8") from error
