"""The live versions of several corpora in memory, kept up to date by a thread beside whoever asks.

Who asks waits for nothing: a new version is loaded whole before it takes the place of the old one.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from schemas.errors import NothingLive
from schemas.live import VersionManifest
from schemas.workspace import default_home
from tasks.registry import ModelRegistry, list_corpora
from tasks.retrieval.retriever import Model, Retriever

_LOGGER = logging.getLogger("dssm.corpora")
_LOOK_SECONDS = 0.5  # between two looks at what is live
_LIST_SECONDS = 5.0  # between two looks for corpora that are new


@dataclass(frozen=True)
class Served:
    """A version in memory, and where it came from."""

    model: Model
    manifest: VersionManifest
    live_since: str | None  # ISO 8601, UTC


class Corpora:
    """What answers for each of some corpora, or of all that are live."""

    def __init__(
        self,
        names: Sequence[str] = (),
        home: Path | None = None,
        on_failure: Callable[[str], None] = lambda name: None,
        shared: Path | None = None,
    ) -> None:
        """Load nothing yet.

        Args:
            names: of corpora; none: all that are live below `home`, also those that come later.
            home: by default $DSSM_HOME or data/ of the checkout.
            on_failure: called with the name of a corpus each time that what is live of it could not be loaded.
            shared: a folder through which several processes hold large arrays once.
        """
        self._names, self._home = list(names), home or default_home()
        self._on_failure, self._shared = on_failure, shared
        self._all, self._list_at = not names, 0.0
        self._retrievers: dict[str, Retriever] = {}
        self._served: dict[str, Served] = {}
        self._failures: dict[str, str] = {}
        self._looked = self._ready = False
        self._stop = threading.Event()

    def start(self) -> None:
        """Load what is live and keep it up to date, in a thread, until `stop`."""
        threading.Thread(target=self._run, name="corpora", daemon=True).start()

    def stop(self) -> None:
        """End the thread after what it is doing."""
        self._stop.set()

    def get(self, name: str) -> Served | None:
        """Return what answers for a corpus; None: nothing does (yet)."""
        return self._served.get(name)

    def registry(self, name: str) -> ModelRegistry:
        """Return the registry of a corpus."""
        return ModelRegistry.of(name, self._home)

    def served(self) -> list[Served]:
        """Return what answers for all corpora, by name."""
        return [served for _, served in sorted(self._served.items())]

    def missing(self) -> dict[str, str]:
        """Return the corpora that cannot be answered for, and why; empty: none."""
        found = {
            name: self._failures.get(name, "is being loaded") for name in list(self._names) if name not in self._served
        }
        if not found and not self._served:
            return {"*": "no corpus is live; publish one: dssm run CORPUS" if self._looked else "still looking"}
        return found

    @property
    def ready(self) -> bool:
        """Whether every corpus has been loaded; stays so, whatever becomes live later."""
        self._ready = self._ready or not self.missing()
        return self._ready

    def look(self) -> None:
        """Load what is not loaded, and take up what has gone live since; a failure is noted, warned about once."""
        if self._all and time.monotonic() >= self._list_at:
            self._try("*", self._list)
        for name in list(self._names):
            if not self._stop.is_set():
                self._try(name, lambda name=name: self._look_at(name))  # type: ignore[misc]
        self._looked = True

    def _run(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(_LOOK_SECONDS)

    def _try(self, name: str, what: Callable[[], None]) -> None:
        try:
            what()
            self._failures.pop(name, None)
        except Exception as error:  # a service answers on, whatever its disk does
            self._on_failure(name)
            if self._failures.get(name) != str(error):
                _LOGGER.warning("%s", error)
            self._failures[name] = str(error)

    def _list(self) -> None:
        self._list_at = time.monotonic() + _LIST_SECONDS
        self._names = sorted({*list_corpora(self._home), *self._served})

    def _look_at(self, name: str) -> None:
        retriever = self._retrievers.get(name)
        if retriever is None:
            try:
                retriever = Retriever(ModelRegistry.of(name, self._home), shared=self._shared)
            except NothingLive:
                if not self._all:
                    raise
                self._names.remove(name)  # it awaits approval: until the next list it is none of all live ones
                return
            self._retrievers[name] = retriever
        elif not retriever.refresh():
            self._on_failure(name)
        model, known = retriever.loaded, self._served.get(name)
        if known is None or known.model is not model:
            self._served[name] = _describe(ModelRegistry.of(name, self._home), model)


def _describe(registry: ModelRegistry, model: Model) -> Served:
    since = [entry.at for entry in registry.cached_live().history if entry.version == model.version]
    return Served(model, registry.manifest(model.version), since[-1] if since else None)
