"""What Prefect is to know of the corpora: one deployment per TOML, and what sets it apart from what a server has. Pure.

`flows/serving.py` carries it out.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from flows.corpora import find_tomls, load_corpus
from schemas.display import as_markdown
from schemas.errors import SettingsError
from schemas.settings import CorpusSettings
from schemas.workspace import default_home, store_address

TAG = "dssm"  # of every deployment that is ours
_FIRST_MINUTE, _LAST_MINUTE, _LONGEST_STEP = 2 * 60, 6 * 60, 30  # of the night, in minutes


class Deployment(BaseModel):
    """One deployment, made from the TOML or read from a server."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    flow: str
    name: str
    entrypoint: str
    crons: list[str]  # "cron, time zone"
    parameters: dict[str, Any]
    tags: list[str]
    description: str
    home: str  # DSSM_HOME of its runs, and whose deployment it is
    store: str | None = None  # DSSM_STORE of its runs
    pool: str | None = None  # work pool; None: served by `dssm serve`

    @property
    def key(self) -> str:
        """Flow and name, as Prefect shows them."""
        return f"{self.flow}/{self.name}"


class Change(BaseModel):
    """What is to be done to one deployment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    action: Literal["create", "change", "keep", "remove", "broken"]
    key: str
    details: list[str] = []


def load_corpora() -> tuple[list[CorpusSettings], dict[str, str]]:
    """Return the settings of every TOML, and by name what is wrong with those that are not valid."""
    sound, broken = [], {}
    for name in find_tomls():
        try:
            sound.append(load_corpus(name))
        except SettingsError as error:
            broken[name] = str(error)
    return sound, broken


def describe(corpora: Sequence[CorpusSettings], pool: str | None = None) -> list[Deployment]:
    """Return the deployments of these corpora, and the one that a person starts for all of them.

    Args:
        corpora: whose TOML is sound.
        pool: of the workers that run them; None: they are served.
    """
    home, store = str(default_home()), store_address()
    crons = stagger(corpora)
    every = Deployment(
        flow="train-all",
        name="all",
        entrypoint="flows.train_all.train_all",
        crons=[],
        parameters={"corpora": [], "processes": 1, "settings": []},
        tags=[TAG],
        description="Run every corpus of data/corpora, each in a process of its own, and rank them in one table.",
        home=home,
        store=store,
        pool=pool,
    )
    ours = [
        Deployment(
            flow="train-corpus",
            name=corpus.name,
            entrypoint="flows.train_corpus.train_corpus",
            crons=[f"{crons[corpus.name]}, {corpus.schedule.timezone}"] if crons[corpus.name] else [],
            parameters={"corpus": corpus.model_dump(mode="json"), "overrides": ""},
            tags=[TAG, corpus.name],
            description=_describe_corpus(corpus),
            home=home,
            store=store,
            pool=pool,
        )
        for corpus in corpora
    ]
    return [every, *ours] if ours else []


def stagger(corpora: Sequence[CorpusSettings]) -> dict[str, str | None]:
    """Return the cron of each corpus by name; None: a person starts it.

    Those that keep "nightly" share the night from two to six o'clock in the order of their names, up to half an hour
    apart, and never take a time that another corpus gave itself.
    """
    taken = {corpus.schedule.cron for corpus in corpora}
    nightly = sorted(corpus.name for corpus in corpora if corpus.schedule.cron == "nightly")
    step = max(1, min(_LONGEST_STEP, (_LAST_MINUTE - _FIRST_MINUTE) // max(1, len(corpora))))
    times = (f"{minute % 60} {minute // 60 % 24} * * *" for minute in range(_FIRST_MINUTE, 2**20, step))
    free = (time for time in times if time not in taken)
    slots = dict(zip(nightly, free, strict=False))  # names first: a slot is drawn for each of them only
    given = {corpus.name: corpus.schedule.cron for corpus in corpora}
    return {name: slots.get(name, None if cron == "never" else cron) for name, cron in given.items()}


def compare(wanted: Sequence[Deployment], found: Sequence[Deployment], broken: Mapping[str, str]) -> list[Change]:
    """Return what makes a server's deployments those that are wanted, by key.

    Args:
        wanted: of every sound TOML.
        found: that the server has.
        broken: message by corpus. A typo in a TOML must not delete a deployment: what the server has of it stays.
    """
    there, described = {one.key: one for one in found}, {one.key for one in wanted}
    changes = []
    for one in wanted:
        details = _differences(there[one.key], one) if one.key in there else one.crons or ["by hand"]
        action: Literal["create", "change", "keep"] = "create"
        if one.key in there:
            action = "change" if details else "keep"
        changes.append(Change(action=action, key=one.key, details=details))
    changes += [Change(action="broken", key=f"train-corpus/{name}", details=[why]) for name, why in broken.items()]
    kept = described | {change.key for change in changes}
    homes = {one.home for one in wanted} or {str(default_home())}
    changes += [
        Change(action="remove", key=one.key, details=["its TOML is gone"])
        for one in found
        if one.key not in kept and one.home in homes
    ]
    return sorted(changes, key=lambda change: change.key)


def _differences(old: Deployment, new: Deployment) -> list[str]:
    """Return each changed value as `where: old -> new`, settings by their dotted key."""
    said = {"description"}  # in words what the settings say
    before, after = _flatten(old.model_dump(exclude=said)), _flatten(new.model_dump(exclude=said))
    return [
        f"{key.removeprefix('parameters.corpus.')}: {_show(before.get(key))} -> {_show(after.get(key))}"
        for key in sorted({*before, *after})
        if before.get(key) != after.get(key)
    ]


def _flatten(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, inner in value.items():
        flat |= _flatten(inner, f"{prefix}{key}.") if isinstance(inner, Mapping) and inner else {prefix + key: inner}
    return flat


def _show(value: Any) -> str:  # noqa: ANN401 - any JSON value
    return "nothing" if value in (None, [], "") else json.dumps(value, ensure_ascii=False)


def _describe_corpus(corpus: CorpusSettings) -> str:
    paths = corpus.source.path if isinstance(corpus.source.path, list) else [corpus.source.path]
    return (
        f"Train, measure and publish corpus `{corpus.name}` from {as_markdown(', '.join(paths))}.\n\n"
        "Its settings are the parameter. *Custom run* starts one with some changed, in the fields or as `KEY=VALUE` in "
        "*overrides*; what holds for every night stands in its TOML."
    )
