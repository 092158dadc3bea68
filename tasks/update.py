"""Changes of what is live: made by whoever has the lock of a registry, and by nobody else.

A friend of `tasks.registry`, whose pointer it alone replaces.
"""

import logging
import os
import shutil
import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from schemas.errors import NothingLive, SettingsError, StaleFile
from schemas.live import Live, VersionManifest, WentLive, Withdrawn
from schemas.manifest import hash_file, write_atomically
from tasks.version_files import MANIFEST, clear, hash_candidate, list_files, now, sync_file

if TYPE_CHECKING:
    from tasks.registry import ModelRegistry

_LOGGER = logging.getLogger("dssm.registry")


class Update:
    """What may be changed while nobody else does: lent by `ModelRegistry.update`, for as long as that lasts."""

    def __init__(self, registry: "ModelRegistry", live: Live, content: bytes | None) -> None:
        self.registry, self.live = registry, live
        self._content: bytes | None = content  # live.json as it was read
        self._open = True

    def close(self) -> None:
        """End it: from now on it changes nothing."""
        self._open = False

    def add(
        self,
        candidate: Path,
        extra: Mapping[str, bytes],
        run: str,
        recall: tuple[float, float, int],
        test_hash: str | None = None,
        edit: str | None = None,
    ) -> VersionManifest:
        """Copy a candidate into a new immutable folder and name it; it is not live yet.

        Args:
            candidate: complete.
            extra: further files by name: model card, evaluation, settings.
            run: that made it.
            recall: recall@1, recall@10 and the number of test rows, for `dssm models`.
            test_hash: of those rows: figures of equal ones can be compared.
            edit: what was changed of another version, where it was not trained.
        """
        self._require_open()
        digest, folder = hash_candidate(candidate), self.registry.folder
        taken = {entry.version for entry in self.live.history}
        version = self.registry._free_name(f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{digest[:6]}", taken)
        partial = folder / f".{version}.partial"
        clear(partial)
        try:
            partial.mkdir()
            mode = partial.stat().st_mode  # as this user makes folders; a candidate may lie in a private one
            shutil.copytree(candidate, partial, dirs_exist_ok=True)
            partial.chmod(stat.S_IMODE(mode))
            for name, content in extra.items():
                (partial / name).write_bytes(content)
            manifest = VersionManifest(
                version=version,
                corpus=self.registry.corpus,
                run=run,
                made=now(),
                candidate=digest,
                files={path: hash_file(partial / path) for path in list_files(partial)},
                recall_at_1=recall[0],
                recall_at_10=recall[1],
                test_rows=recall[2],
                test_hash=test_hash,
                edit=edit,
            )
            write_atomically(partial / MANIFEST, manifest.model_dump_json(indent=1).encode())
            for path in [*manifest.files, MANIFEST]:
                sync_file(partial / path)
            os.replace(partial, folder / version)
        except BaseException:  # a full disk: what was copied so far must not keep it full
            shutil.rmtree(partial, ignore_errors=True)
            raise
        self.registry._share(manifest)
        return manifest

    def find_named(self, candidate: Path, run: str) -> VersionManifest | None:
        """Return the version that this run has already made of the candidate: it was stopped before the pointer."""
        digest = hash_candidate(candidate)
        return next((m for m in self.registry.versions() if m.run == run and m.candidate == digest), None)

    def go_live(self, manifest: VersionManifest, why: Literal["published", "approved", "edited"]) -> None:
        """Point live.json at a version."""
        waiting = self._candidate_of(self.live.pending) if self.live.pending else ""
        pending = None if waiting == manifest.candidate else self.live.pending  # published without waiting any longer
        self._point(version=manifest.version, history=self._history_with(manifest, why), pending=pending)

    def wait_for_approval(self, manifest: VersionManifest) -> None:
        """Remember a version that a person must approve; one that waited before is replaced."""
        self._point(pending=manifest.version)

    def approve(self) -> VersionManifest:
        """Make the pending version live.

        Raises:
            NothingLive: none waits.
        """
        manifest = self.registry.verify(self._require_pending())
        self.go_live(manifest, "approved")
        return manifest

    def decline(self) -> str:
        """Withdraw the pending version, and return its name: the same candidate never waits, or goes live, again.

        Raises:
            NothingLive: none waits.
        """
        pending = self._require_pending()
        declined = Withdrawn(version=pending, candidate=self._candidate_of(pending))
        self._point(pending=None, withdrawn=[*self.live.withdrawn, declined])
        return pending

    def roll_back(self, to: str | None = None) -> VersionManifest:
        """Withdraw the live version and return to the one live before it that is whole, or to `to`.

        Raises:
            NothingLive: nothing is live, or nothing was live before.
            SettingsError: no such version, or it is live already.
            StaleFile: it is damaged, or all that were live before are.
        """
        live = self.live
        if live.version is None:
            raise NothingLive(f"nothing is live for corpus {self.registry.corpus!r}: nothing to roll back")
        if to == live.version:
            raise SettingsError(f"version {to} is live already")
        target = self._find_predecessor(live.version) if to is None else self._find_named_version(to)
        taken_back = Withdrawn(version=live.version, candidate=self._candidate_of(live.version))
        kept = [one for one in live.withdrawn if one.version != target.version]  # going back to it on purpose
        history = self._history_with(target, "rolled back")
        self._point(version=target.version, history=history, withdrawn=[*kept, taken_back])
        return target

    def prune(self, keep: int) -> list[str]:
        """Delete the oldest versions beyond `keep`, never the live or the pending one; return their names.

        Those that are but edited go before those that were trained, the one live before this one excepted: after a day
        of many edits there are still nights to go back to. What a killed process left unfinished goes, too; a damaged
        version stays for a person to look at.
        """
        self._require_open()
        self.registry._sweep()
        protected = {self.live.version, self.live.pending} - {None}
        before = next((one.version for one in reversed(self.live.history) if one.version != self.live.version), None)
        others = [m for m in self.registry.versions() if m.version not in protected]
        others.sort(key=lambda m: m.edit is None or m.version == before)
        versions = [m.version for m in others]
        surplus = versions[: max(0, len(versions) + len(protected) - keep)]
        self.registry._delete(surplus)
        return surplus

    def _find_predecessor(self, version: str) -> VersionManifest:
        withdrawn = {one.version for one in self.live.withdrawn} | {version}
        folder, damaged = self.registry.folder, None
        for name in dict.fromkeys(entry.version for entry in reversed(self.live.history)):
            if name in withdrawn or not (folder / name).exists():
                continue
            try:
                return self.registry.verify(name)
            except StaleFile as error:
                _LOGGER.warning("version %s is set aside: %s", name, error)
                damaged = damaged or error
        others = [m.version for m in self.registry.versions() if m.version != version]
        raise damaged or NothingLive(
            f"{version} is the first version of corpus {self.registry.corpus!r}: there is none to go back to; "
            + (f"name another one: --to {others[-1]}" if others else "the next run may replace it")
        )

    def _find_named_version(self, name: str) -> VersionManifest:
        known = [m.version for m in self.registry.versions()]
        if name not in {*known, *self.registry.damaged()}:  # by name: a path is no version
            newest = ", ".join(known[-5:]) or "none"
            raise SettingsError(f"corpus {self.registry.corpus!r} has no version {name!r}; the newest are: {newest}")
        return self.registry.verify(name)

    def _require_pending(self) -> str:
        if self.live.pending is None:
            corpus = self.registry.corpus
            raise NothingLive(f"no version of corpus {corpus!r} waits for approval; see dssm models {corpus}")
        return self.live.pending

    def _require_open(self) -> None:
        if not self._open:
            raise RuntimeError("this update has ended, and what is live may have changed since; begin another one")

    def _history_with(self, manifest: VersionManifest, why: str) -> list[WentLive]:
        entry = {"version": manifest.version, "at": now(), "why": why, "run": manifest.run}
        if self.live.history and self.live.history[-1].at > entry["at"]:
            _LOGGER.warning(
                "the clock of this machine runs backwards: it is %s, and version %s went live at %s. The order of "
                "versions is that of the history all the same; set the clock",
                entry["at"],
                self.live.history[-1].version,
                self.live.history[-1].at,
            )
        return [*self.live.history, WentLive.model_validate(entry)]

    def _candidate_of(self, version: str) -> str:
        """Return the hash of a version's candidate; empty where its folder is lost: that must not bar the way back."""
        try:
            return self.registry.manifest(version).candidate
        except StaleFile:
            return ""

    def _point(self, **changes: object) -> None:
        self._require_open()
        live = self.live.model_copy(update=changes)
        self._content = self.registry._replace_pointer(live, self._content)
        self.live = live
