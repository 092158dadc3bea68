"""A small file beside a corpus that several processes change: below DSSM_HOME, or, for all machines, in the store."""

from collections.abc import Callable
from pathlib import Path

from schemas.errors import MachineFault
from schemas.manifest import write_atomically
from schemas.paths import read_file
from tasks.locks import locked
from tasks.store import open_store

_TRIES = 20  # of a change, while other machines are faster


class SharedFile:
    """Its content appears whole or not at all; no change of it is lost."""

    def __init__(self, home: Path, path: str) -> None:
        """Own a file.

        Args:
            home: DSSM_HOME.
            path: below it, and below the address of the store.
        """
        self._path, self._file, self._store = path, home / path, open_store()

    @property
    def where(self) -> str:
        """Where it lies, for messages."""
        return self._store.where(self._path) if self._store else str(self._file)

    def read(self) -> bytes | None:
        """Return its content; None: it is not there.

        Raises:
            MachineFault: it cannot be read.
        """
        if self._store:
            return self._store.read(self._path) or None
        try:
            return read_file(self._file)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise MachineFault(f"cannot read {self._file}: {error.strerror}; mend it, or move it away") from error

    def change(self, make: Callable[[bytes | None], bytes | None]) -> None:
        """Replace its content by what `make` makes of it, called again where another machine was faster; None: none.

        Raises:
            MachineFault: others were faster, again and again.
        """
        if not self._store:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with locked(self._file.with_name(f".{self._file.name}.lock")):
                made = make(self.read())
                if made is None:
                    self._file.unlink(missing_ok=True)
                else:
                    write_atomically(self._file, made)
            return
        for _ in range(_TRIES):
            tag = self._store.tag(self._path)
            content = (self._store.read(self._path) or None) if tag else None
            if self._store.replace(self._path, make(content) or b"", tag):  # an empty one counts as none
                return
        raise MachineFault(f"{self.where} is changed by other machines all the time; run the same command again")

    def set_aside(self) -> str:
        """Move a damaged one out of the way; return its name from now on."""
        aside = f"{self._path.rpartition('.')[0]}.damaged"
        content = self.read()
        if self._store:
            self._store.write(aside, content or b"")
            self._store.write(self._path, b"")
        else:
            self._file.replace(self._file.parent / Path(aside).name)
        return Path(aside).name
