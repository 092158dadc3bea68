"""live.json: the version that answers now, the history of live versions, and the withdrawn ones."""

import json
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from schemas.paths import FolderName, RelativePath

_Model = TypeVar("_Model", bound=BaseModel)


class WentLive(BaseModel):
    """One change of the live version."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: FolderName
    at: str  # ISO 8601, UTC
    why: Literal["published", "approved", "edited", "rolled back", "repaired"]
    run: str | None = None  # that made the version


class Withdrawn(BaseModel):
    """A version that a person declined or rolled back. The same candidate is never published again."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: FolderName
    candidate: str  # sha256 over the candidate's files


class Live(BaseModel):
    """The pointer of one corpus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: FolderName | None = None
    history: list[WentLive] = []  # oldest first
    withdrawn: list[Withdrawn] = []
    pending: FolderName | None = None  # version that waits for a person

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Read live.json; ValueError says in a few words what is wrong with it."""
        live = parse_model(cls, content)
        if missing := {"version", "history"} - live.model_fields_set:
            raise ValueError(f"{' and '.join(sorted(missing))} missing")
        return live

    @classmethod
    def salvage(cls, content: bytes) -> Self:
        """Return as much of a damaged live.json as can be read; of nothing, an empty pointer."""
        try:
            raw = json.loads(content)
        except (ValueError, RecursionError):
            return cls()
        if not isinstance(raw, dict):
            return cls()
        lists: dict[str, type[BaseModel]] = {"history": WentLive, "withdrawn": Withdrawn}
        found: dict[str, Any] = {name: _valid(model, raw.get(name)) for name, model in lists.items()}
        for name in ("version", "pending"):
            try:
                found[name] = cls.model_validate({name: raw.get(name)}).model_dump()[name]
            except ValidationError:
                continue
        return cls.model_validate(found)

    def in_order(self, manifests: "list[VersionManifest]") -> "list[VersionManifest]":
        """Return versions, oldest first: in the order in which they were last live, whatever a clock said.

        Before them those that never were, after them the one that waits for a person.
        """
        last = {entry.version: place for place, entry in enumerate(self.history)}
        return sorted(manifests, key=lambda m: (m.version == self.pending, last.get(m.version, -1), m.made, m.version))

    def periods(self) -> list["LivePeriod"]:
        """Return what was live when, oldest first."""
        ends = [*(entry.at for entry in self.history[1:]), None]
        return [
            LivePeriod(version=entry.version, since=entry.at, until=end, why=entry.why, run=entry.run)
            for entry, end in zip(self.history, ends, strict=False)
        ]


class LivePeriod(BaseModel):
    """The time during which a version answered."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str
    since: str  # ISO 8601, UTC
    until: str | None  # None: it is live
    why: str  # it went live
    run: str | None


class VersionManifest(BaseModel):
    """manifest.json of a version: every file's hash, and where it came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: FolderName
    corpus: str
    run: str
    made: str  # ISO 8601, UTC
    candidate: str  # sha256 over the candidate's files: equal candidates have equal ones
    files: dict[RelativePath, str] = Field(min_length=1)  # path -> sha256; of none nothing would be verified
    recall_at_1: FiniteFloat
    recall_at_10: FiniteFloat
    test_rows: int
    test_hash: str | None = None  # sha256 of those rows; None: of an earlier version of dssm
    edit: str | None = None  # what a person changed of the version before; its recall is that of the one measured last

    def was_measured_like(self, other: "VersionManifest") -> bool:
        """Say whether the figures of both are of the same test rows, as far as is known."""
        return self.version == other.version or self.test_hash == other.test_hash is not None


def parse_model(model: type[_Model], content: bytes) -> _Model:
    """Read a JSON file; ValueError says in a few words what is wrong with it."""
    try:
        return model.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"])
        why = "not known to this version of dssm" if problem["type"] == "extra_forbidden" else problem["msg"]
        raise ValueError(f"{where}: {why}" if where else why if content else "empty") from error


def _valid(model: type[BaseModel], entries: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - of a damaged file
    found = []
    for entry in entries if isinstance(entries, list) else []:
        try:
            found.append(model.model_validate(entry).model_dump())
        except ValidationError:
            continue
    return found
