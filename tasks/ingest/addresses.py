"""Which files a source means: a path, a folder, a glob, an fsspec address, or a list of these.

Reads folders and the first bytes of files, never a table.
"""

import hashlib
import os
import re
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

import fsspec
from fsspec.implementations.local import LocalFileSystem
from fsspec.implementations.zip import ZipFileSystem

from schemas.addresses import expand, is_remote
from schemas.display import in_one_line
from schemas.errors import SourceError
from schemas.paths import find_closed_folder
from schemas.settings import Source
from schemas.suggestions import did_you_mean, nearest
from tasks.ingest.archives import LITTER, is_beside
from tasks.ingest.guard import first_line, guarded
from tasks.ingest.importers import Look, find_importer
from tasks.ingest.input_file import InputFile, reading
from tasks.ingest.parts import is_test

BUNDLED = "bundled:"
_LOCAL = ("file", "local", "memory", "data", "zip", "tar")
_DEEPEST = 6  # levels below a folder that an importer reads as a whole: Amazon Lex has six
_OPTIONS = {"source.path": "--source", "source.test_path": "--test-source", "source.questions_path": "--questions"}
_TABLES = (".csv", ".tsv", ".tab", ".txt", ".jsonl", ".ndjson", ".json", ".parquet", ".pq", ".xlsx", ".xlsm")
_PART = re.compile(
    r"(?:part-[\w-]+|\d{6}_\d+(?:_copy_\d+)?)(?:\.(?:gz|bz2|xz))?"
)  # as Spark and Hive call files of a table
_ASIDE = (".", "_", "~$")  # names begin so
_TEMPORARY = ("~", ".tmp", ".part", ".crdownload")  # and end so
_OTHER_TABLES = (".xls", ".xlsb", ".ods")  # of a folder, only beside no table of that name


def find_files(addresses: str | Sequence[str], base: Path, setting: str = "source.path") -> list[InputFile]:
    """Return the files that `addresses` mean, in the order given, those of a folder or glob sorted by name.

    Raises:
        SourceError: an address leads to no table; the message names the `setting` to correct.
    """
    found = list[InputFile]()
    for address in [addresses] if isinstance(addresses, str) else addresses:
        with guarded(address, remote=_is_remote(address)):
            found += _resolve(address, base, setting)
    for file in found:
        _refuse_unreadable(file.name)
    if not found:
        raise SourceError(f"{setting} names no file at all; give it a file, a folder or an address")
    return list({file.path: file for file in found}.values())


def find_training_files(source: Source, base: Path) -> tuple[list[InputFile], list[str]]:
    """Return the training files and a warning for each one left out because it is the test file or the list.

    A folder that also holds test.csv is common; trained on, the test would measure nothing.

    Raises:
        SourceError: an address leads to no table, or only to files that have another role.
    """
    roles = {"source.questions_path": source.questions_path, "source.test_path": source.test_path}
    other = {file.path: role for role, address in roles.items() if address for file in find_files(address, base, role)}
    files = find_files(source.path, base)
    for file in files:
        if file.path in other and file.direct and not file.bundled:
            raise SourceError(f"{file.name} is both source.path and {other[file.path]}; a file has one role only")
    kept = [file for file in files if file.path not in other]
    if not kept:
        raise SourceError(f"{source.path} holds no training file; all its tables have another role")
    warnings = [f"{file.name} was not trained on: it is {other[file.path]}" for file in files if file.path in other]
    for file in kept:
        if file.left_out:
            names = ", ".join(file.left_out[:5]) + (", …" if len(file.left_out) > 5 else "")
            warnings.append(
                f"{len(file.left_out)} files beside {file.name} are called like no table, and were not read: {names}"
            )
        if not file.direct and is_test(PurePosixPath(file.path).name.split(".")[0]):
            warnings.append(
                f"{file.name} is called a test, and was trained on; to measure by it instead: --test-source {file.name}"
            )
    return kept, warnings


def fingerprint(source: Source, base: Path, seed: int) -> dict[str, str]:
    """Return the sha256 of every file of the source (training, test, list) by its name.

    A bundled corpus is its name and the seed; its generator is part of the code.

    Raises:
        SourceError: an address leads to no table.
    """
    files, _ = find_training_files(source, base)
    for address in (source.test_path, source.questions_path):
        files += find_files(address, base) if address else []
    return {file.name: digest(file, seed) for file in files}


def digest(file: InputFile, seed: int = 0) -> str:
    """Return the sha256 of a file's bytes as they lie there."""
    if file.bundled:
        return hashlib.sha256(f"{file.path} {seed}".encode()).hexdigest()
    sha256 = hashlib.sha256()
    for part in file.parts:
        sha256.update(f"{part.name} {digest(part)}\n".encode())
    if file.parts:
        return sha256.hexdigest()
    with reading(file), file.open_raw() as stream:
        while block := stream.read(1 << 20):
            sha256.update(block)
    return sha256.hexdigest()


def _resolve(address: str, base: Path, setting: str) -> list[InputFile]:
    if address.startswith(BUNDLED):
        return [_bundled(address)]
    filesystem, path = _filesystem(address, base)
    try:
        if filesystem.isfile(path):
            return [_as_export(InputFile(address, path, filesystem))]
        if filesystem.isdir(path):
            return _in_folder(address, filesystem, path)
    except PermissionError as error:
        raise SourceError(f"{in_one_line(address)} may not be read by this user; change its permissions") from error
    if isinstance(filesystem, LocalFileSystem) and (closed := find_closed_folder(path)):
        raise SourceError(
            f"{in_one_line(address)}: this user may not enter the folder {closed}; change its permissions"
        )
    if any(magic in address for magic in "*?["):
        found = sorted(match for match in filesystem.glob(path) if filesystem.isfile(match))
        asked = path[len(_fixed(path)) :].split("/")  # `_*.csv` means what a folder leaves out
        matches = [match for match in found if not _is_aside(match[len(_fixed(path)) :], asked)]
        if matches:
            fixed, tails = _fixed(address), [match[len(_fixed(path)) :] for match in matches]
            names = [fixed + tail if fixed else tail.lstrip("/") for tail in tails]
            return [
                InputFile(name, match, filesystem, direct=False) for name, match in zip(names, matches, strict=True)
            ]
        if found:
            shown = ", ".join(in_one_line(PurePosixPath(match).name) for match in found[:5])
            raise SourceError(
                f"{in_one_line(address)} matches only {len(found)} hidden or temporary file(s) ({shown}); to read one "
                "of them, name it"
            )
        raise SourceError(f"{in_one_line(address)} matches no file{_neighbours(filesystem, path, setting)}")
    raise SourceError(
        f"{in_one_line(address)} does not exist{_where(address, path)}{_neighbours(filesystem, path, setting)}"
    )


def _bundled(address: str) -> InputFile:
    from tasks.ingest.bundled.profiles import PROFILES

    if address.removeprefix(BUNDLED) not in PROFILES:
        raise SourceError(f"there is no {address}; the bundled corpora are {', '.join(sorted(PROFILES))}")
    return InputFile(address, address, None)


def _is_remote(address: str) -> bool:
    """Whether an address leads over a network, whose faults pass; what holds its own data does not."""
    protocol = re.match(r"(?:.*::)?([a-z0-9+.-]+):(?://)?", address, re.I)
    return bool(protocol) and protocol.group(1).lower() not in _LOCAL  # type: ignore[union-attr]


def _refuse_unreadable(name: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = name.encode("utf-8", "backslashreplace").decode()
        raise SourceError(f"the name of {shown} is not UTF-8; rename it") from None


def _filesystem(address: str, base: Path) -> tuple[fsspec.AbstractFileSystem, str]:
    if not is_remote(address):
        return LocalFileSystem(), os.path.abspath(base / Path(address).expanduser())
    try:
        scheme, slashes, rest = expand(address).partition("://")
        url, credentials = _split_credentials(scheme.lower() + slashes + rest)
        filesystem, path = fsspec.core.url_to_fs(url, **credentials)
    except KeyError as error:
        raise SourceError(
            f"{address} names the environment variable {error}, which is not set; export it, also for `dssm serve` and "
            "workers"
        ) from error
    except (ImportError, ValueError) as error:
        raise SourceError(
            f"{address} cannot be opened: {first_line(error)}. Use a local path or an address like s3://bucket/train.csv"
        ) from error
    return filesystem, path


def _split_credentials(url: str) -> tuple[str, dict[str, str]]:
    """Return an address without user and password, and these as its file system takes them; http reads its own."""
    parts = urlsplit(url)
    if parts.password is None or parts.scheme.startswith("http"):
        return url, {}
    names = ("key", "secret") if parts.scheme.startswith("s3") else ("username", "password")
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return bare, dict(zip(names, (unquote(parts.username or ""), unquote(parts.password)), strict=True))


def _in_folder(address: str, filesystem: fsspec.AbstractFileSystem, folder: str) -> list[InputFile]:
    listed = [entry["name"] for entry in filesystem.ls(folder, detail=True) if entry["type"] == "file"]
    names = _no_folders(filesystem, listed)
    visible = [name for name in names if not _is_aside(PurePosixPath(name).name)]
    prefix = address.rstrip("/")
    files = [InputFile(f"{prefix}/{PurePosixPath(name).name}", name, filesystem, direct=False) for name in visible]
    whole = InputFile(address, folder, filesystem, parts=_below(prefix, filesystem, folder))
    if find_importer(Look(whole)):
        return [whole]
    tables = [file for file in files if file.suffix in _TABLES or _PART.fullmatch(PurePosixPath(file.path).name)]
    stems = {PurePosixPath(file.path).stem for file in tables}
    others = [file for file in files if file.suffix in _OTHER_TABLES and PurePosixPath(file.path).stem not in stems]
    tables = [file for file in files if file in tables or file in others]
    if not tables:
        inside = ", ".join(PurePosixPath(name).name for name in names[:5]) or "no files"
        raise SourceError(
            f"the folder {address} holds no table ({inside}); a table ends in "
            f"{', '.join((*_TABLES, *_OTHER_TABLES))}, or such a name and .gz. "
            f"For tables in its subfolders, give {address}/**/*.csv"
        )
    left = tuple(file.name for file in files if file not in tables and not is_beside(file.path))
    return [replace(tables[0], left_out=left), *tables[1:]]


def _as_export(file: InputFile) -> InputFile:
    """Return a ZIP archive as the folder it holds, if an importer reads such a folder."""
    if file.suffix != ".zip":
        return file
    try:
        inside = ZipFileSystem(file.open())
    except zipfile.BadZipFile:
        return file  # whoever reads it says so
    whole = InputFile(file.name, "", inside, parts=_below(file.name, inside, ""))
    return whole if find_importer(Look(whole)) else file


def _below(prefix: str, filesystem: fsspec.AbstractFileSystem, folder: str) -> tuple[InputFile, ...]:
    """Return the files of a folder and of its subfolders, hidden ones left out, sorted by name."""
    root = folder.rstrip("/") + "/"
    names = _no_folders(filesystem, filesystem.find(folder, maxdepth=_DEEPEST))
    inside = [name.removeprefix(root) for name in names]
    return tuple(
        InputFile(f"{prefix}/{relative}", name, filesystem, direct=False)
        for name, relative in zip(names, inside, strict=True)
        if not _is_aside(relative)
    )


def _is_aside(relative: str, asked: Sequence[str] = ()) -> bool:
    """Whether a file is no table: it, or its folder, is hidden, a marker such as _SUCCESS, a lock of an open workbook.

    Args:
        relative: its path below what was named.
        asked: parts of a pattern; what one of them begins with is meant.
    """
    signs = tuple(sign for sign in _ASIDE if not any(part.startswith(sign) for part in asked))
    parts = relative.split("/")
    return any(part.startswith(signs) for part in parts) or parts[-1].endswith(_TEMPORARY) or parts[-1] in LITTER


def _no_folders(filesystem: fsspec.AbstractFileSystem, names: Iterable[str]) -> list[str]:
    """Return the names of files, sorted; fsspec counts a link to a folder as one."""
    local = isinstance(filesystem, LocalFileSystem)
    return sorted(name for name in names if not (local and os.path.isdir(name)))


def _fixed(pattern: str) -> str:
    """Return the part of a path before its first wildcard, up to the last slash."""
    return re.split(r"[*?\[]", pattern, maxsplit=1)[0].rpartition("/")[0]


def _where(address: str, path: str) -> str:
    return f" (looked for {in_one_line(path)})" if address != path and "://" not in address else ""


def _neighbours(filesystem: fsspec.AbstractFileSystem, path: str, setting: str) -> str:
    """Return what lies where `path` was expected: the nearest names first."""
    correct = f"Correct {_OPTIONS[setting]} ({setting})" if setting in _OPTIONS else f"Correct {setting}"
    wanted = PurePosixPath(path)
    folder = str(wanted.parent)
    try:
        names = [PurePosixPath(entry["name"]).name for entry in filesystem.ls(folder, detail=True)]
    except Exception:  # a hint must not fail in place of what it explains, and any filesystem may answer here
        return f"; its folder does not exist either. {correct}"
    if wanted.name in names:
        return f"; it is there, but no file that can be read: a broken link, or a folder's link. {correct}"
    if near := nearest(wanted.name, names, most=3):
        return did_you_mean(wanted.name, near)
    return f"; its folder holds {', '.join(map(in_one_line, sorted(names)[:5])) or 'nothing'}. {correct}"
