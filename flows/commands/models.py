"""Commands about what is published: query, diff, models, rollback, approve, decline."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from flows.commands.options import FILTER, VALID_AT, complete_corpus, read_filters
from flows.commands.output import print_table, print_text
from flows.environment import say
from schemas.decisions import Decisions
from schemas.errors import SettingsError, StaleFile
from schemas.run import RunResult
from schemas.suggestions import did_you_mean, nearest


@click.command()
@click.argument("corpus", shell_complete=complete_corpus)
@click.argument("text", required=False)
@click.option("--file", "file", metavar="FILE", help="Queries, one a line (UTF-8); - for standard input.")
@click.option("--top", default=10, show_default=True, type=click.IntRange(1), help="How many standard questions.")
@FILTER
@VALID_AT
@click.option("--json", "as_json", is_flag=True, help="One JSON object per query.")
def query(
    corpus: str, text: str | None, file: str | None, top: int, filters: Sequence[str], valid_at: str, as_json: bool
) -> int:
    """Ask the live model of CORPUS for the standard questions nearest to TEXT, and what to do with it.

    \b
    dssm query bank "怎么提前还款" --top 5
    dssm query bank "怎么提前还款" --filter category=贷款 --filter channel=App --filter channel=微信
    dssm query bank "怎么提前还款" --filter 'fee<=20' --valid-at 2026-10-01
    dssm query bank --file queries.txt --json

    Below the standard questions stands what to do: answer with the first, let the customer choose, or hand over to a
    person; and the probability that the first is right. decisions.max_wrong of the settings says how many direct
    answers may be wrong (docs/decisions.md).

    Fields are the columns of the list of standard questions. Values of one field: one is enough; several fields: all
    have to hold; FIELD= finds those without a value. They choose before anything is ranked. What is not valid at the
    moment is not found; --valid-at any finds it, too.
    """
    if (text is None) == (file is None):
        raise click.UsageError("give one TEXT, or --file FILE")
    from tasks.retrieval.lines import read_lines

    wanted = top, *read_filters(filters, valid_at)
    retriever = load_retriever(corpus)
    for said in retriever.model.payload.find_unmatched(wanted[1]) if retriever.model.payload else ():
        say(said)
    for queries in [[text]] if text is not None else read_lines(file or "-"):
        for asked, answer in zip(queries, retriever.answer(queries, *wanted), strict=True):
            if as_json:
                print_text(json.dumps({"query": asked} | _as_json(answer), ensure_ascii=False))
            else:
                lines = [f"  {h.score:6.3f}  {h.standard_question}{show_payload(h.payload)}" for h in answer.hits]
                print_text(
                    "\n".join([asked] * (file is not None) + lines + _say_decision(answer, retriever.model.decisions))
                )
    return 0


def load_retriever(corpus: str) -> Any:  # noqa: ANN401 - Retriever, imported late
    """Return what answers for a corpus; SettingsError where nothing was ever published."""
    from schemas.errors import NothingLive
    from tasks.retrieval.retriever import Retriever

    registry = find_registry(corpus)
    try:
        return Retriever(registry)
    except NothingLive:
        require_published(registry)
        raise


def show_payload(payload: Mapping[str, Any]) -> str:
    """Return the first fields of a standard question for a line of a terminal."""
    cells = [f"{name}: {', '.join(one) if isinstance(one, list) else one}" for name, one in payload.items()]
    short = [" ".join((cell if len(cell) <= 40 else cell[:39] + "…").split()) for cell in cells[:4]]
    return f"  [{'; '.join(short)}]" if short else ""


def _as_json(answer: Any) -> dict[str, Any]:  # noqa: ANN401 - Answer, imported late
    results, offers = (
        [
            {
                "standard_question": hit.standard_question,
                "score": round(hit.score, 6),
                "id": hit.id,
                "payload": hit.payload,
            }
            for hit in hits
        ]
        for hits in (answer.hits, answer.offers)
    )
    probability = answer.probability and round(answer.probability, 4)
    return {"results": results, "decision": answer.decision, "probability": probability, "offers": offers}


def _say_decision(answer: Any, decisions: Decisions | None) -> list[str]:  # noqa: ANN401 - as above
    """Return what to do with a query as a line; none where the version stores nothing to decide by."""
    if answer.decision is None:
        return []
    offered = len(answer.offers)
    hidden = offered > len(answer.hits)
    what = {
        "answer": "answer with the first",
        "clarify": f"clarify: offer the first {offered}" + (f" (--top {offered} shows them)" if hidden else ""),
        "handover": "hand over to a person",
    }
    right = f" (the first is right with a probability of {answer.probability:.2f})" if answer.hits else ""
    why = ""
    if decisions and decisions.answer_from is None and answer.decision == "clarify":
        few = f"no probability keeps at most {decisions.max_wrong:.0%} wrong on {decisions.held_out:,} held-out queries"
        why = f"; this version answers nothing directly: {few}"
    return [f"  {what[answer.decision]}{right}{why}"]


@click.command()
@click.argument("corpus", shell_complete=complete_corpus)
@click.argument("before", metavar="V1")
@click.argument("after", metavar="V2")
@click.option("--log", "log", metavar="FILE", required=True, help="Queries, one a line, or the service's query log.")
@click.option("--top", default=20, show_default=True, type=click.IntRange(1), help="How many groups to show.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with all groups.")
def diff(corpus: str, before: str, after: str, log: str, top: int, as_json: bool) -> int:
    """Show which real queries version V2 of CORPUS answers otherwise than V1, most frequent first.

    \b
    dssm diff bank 20261124-021107-7c83aa 20261125-021107-1b2c3d --log queries.txt
    dssm diff bank live 20261125-021107-1b2c3d --log /var/log/dssm/queries.jsonl

    A query changes where its first standard question does, or what to do with it: answer, clarify or handover. "live"
    is the version that answers now; `dssm models` lists all. publish.changes_log of the settings has every night's
    candidate compared so, and publish.max_changed has it wait for approval.
    """
    from tasks.evaluate.asked import read_asked
    from tasks.evaluate.changes import compare_answers
    from tasks.retrieval.retriever import Model

    registry = find_registry(corpus)
    require_published(registry)
    asked = read_asked(Path(log))
    first, second = (Model(_fetch(registry, version)) for version in (before, after))
    found = compare_answers(first, second, asked)
    if as_json:
        print_text(json.dumps(found.model_dump() | {"share": round(found.share, 6)}, ensure_ascii=False))
        return 0
    rows = [[f"{one.asked:,}", str(one.before), str(one.after), "\n".join(one.examples)] for one in found.groups[:top]]
    if rows:
        print_table(["asked", f"before: {found.before}", f"after: {found.after}", "e.g."], rows)
    more = f"; {len(found.groups) - top:,} more groups: --top" if len(found.groups) > top else ""
    print_text(
        f"{found.changed:,} of {found.asked:,} queries change ({found.share:.1%}), {found.queries:,} different ones "
        f"were asked{more}"
    )
    return 0


def _fetch(registry: Any, version: str) -> Path:  # noqa: ANN401 - ModelRegistry, imported late
    """Return the folder of a version, or of the live one."""
    registry.follow()
    name = registry.live().version if version == "live" else version
    known = [one.version for one in registry.versions()]
    if name is None or name not in known:
        raise SettingsError(
            f"corpus {registry.corpus!r} has no version {version!r}; there are {', '.join(known[-10:]) or 'none'}"
        )
    folder: Path = registry.fetch(name)
    return folder


@click.command()
@click.argument("corpus", shell_complete=complete_corpus)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--repair", is_flag=True, help="Rebuild a damaged live.json from the versions.")
def models(corpus: str, as_json: bool, repair: bool) -> int:
    """List the versions of CORPUS, and what was live when, by which run and why; newest first.

    What was live stays in that history when its version has been pruned (publish.keep_versions). Damaged versions are
    named on standard error; they are never live. Figures with a star were measured on other test rows than those of
    the live version, and cannot be compared with its own.
    """
    from schemas.errors import NothingLive

    registry = find_registry(corpus)
    if repair:
        _repair(registry)
    registry.follow()
    live, versions = registry.cached_live(), registry.cached_versions()
    damaged = registry.cached_damaged() | _harmed_among(registry, (live.version, live.pending))
    if not versions and not damaged:
        require_published(registry)
    for why in damaged.values():
        say(f"set aside: {why}")
    if not versions:
        raise NothingLive(f"no version of corpus {corpus!r} yet; make one: dssm run {corpus}")
    if as_json:
        found = {"versions": [v.model_dump() for v in versions], "history": [p.model_dump() for p in live.periods()]}
        print_text(json.dumps({"live": live.model_dump(), **found, "damaged": damaged}, ensure_ascii=False))
        return 0
    _show_versions(live, versions, damaged)
    _show_history(live, {v.version for v in versions} | damaged.keys())
    return 0


def _show_versions(live: Any, versions: Sequence[Any], damaged: Mapping[str, str]) -> None:  # noqa: ANN401 - Live, imported late
    """Print the versions, newest first; a star marks figures that cannot be held against those of the live one."""
    withdrawn = {one.version for one in live.withdrawn}
    marks = {live.version: "live", live.pending: "awaits approval"}
    measured = next((v for v in versions if v.version == live.version), versions[-1])
    rows, other_rows = [], False
    for v in reversed(versions):
        state = marks.get(v.version) or ("withdrawn" if v.version in withdrawn else "")
        state += ", damaged" if v.version in damaged else ""
        star = "" if v.was_measured_like(measured) else "*"
        other_rows = other_rows or bool(star)
        figures = [f"{v.recall_at_1:.3f}{star}", f"{v.recall_at_10:.3f}{star}", f"{v.test_rows}{star}"]
        rows.append([v.version, state, *figures, f"{v.run}, then {v.edit}" if v.edit else v.run])
    print_table(["version", "state", "recall@1", "recall@10", "test rows", "made by run"], rows)
    if other_rows:
        print_text(
            f"* measured on other test rows than {measured.version}: not comparable. dssm compare RUN RUN compares two "
            "runs on the rows that both were measured on"
        )


def _show_history(live: Any, kept: Collection[str]) -> None:  # noqa: ANN401 - as above
    """Print what was live when, newest first."""
    history = [
        [
            local_time(p.since),
            local_time(p.until) if p.until else "now",
            p.version + ("" if p.version in kept else " (pruned)"),
            p.why,
            p.run or "",
        ]
        for p in reversed(live.periods())
    ]
    if history:
        print_table(["live from", "until", "version", "why", "made by run"], history)


def local_time(moment: str) -> str:
    """Return a moment (ISO 8601) by the clock of this machine, with its offset: 2026-11-26 02:11:07+08:00."""
    return datetime.fromisoformat(moment).astimezone().isoformat(sep=" ", timespec="seconds")


def _repair(registry: Any) -> None:  # noqa: ANN401 - ModelRegistry, imported late
    """Rebuild live.json and say what answers now."""
    name, live = registry.corpus, registry.repair()
    if live is None:
        print_text(f"{name}: live.json is whole; nothing to repair")
        return
    print_text(
        f"{name}: live.json was rebuilt; live is {live.version or 'nothing'}, and {len(live.history)} change(s) of "
        f"what was live are known. If that is not the right one: dssm rollback {name} --to VERSION"
    )


def _harmed_among(registry: Any, names: Sequence[str | None]) -> dict[str, str]:  # noqa: ANN401 - as above
    """Return what is wrong with the files of some versions, by name; those of a store were checked when they came."""
    found = {}
    for name in names:
        if name is None or registry.has_store:
            continue
        try:
            registry.verify(name)
        except StaleFile as error:
            found[name] = str(error)
    return found


@click.command()
@click.argument("corpus", shell_complete=complete_corpus)
@click.option("--to", metavar="VERSION", help="Go back to this version; the one live before otherwise.")
def rollback(corpus: str, to: str | None) -> int:
    """Take the live version of CORPUS back; the same inputs never publish it again."""
    registry = find_registry(corpus)
    require_published(registry)
    manifest = registry.change(lambda update: update.roll_back(to))
    print_text(f"{corpus}: version {manifest.version} is live again (recall@10 {manifest.recall_at_10:.3f})")
    return 0


@click.command()
@click.argument("corpus", shell_complete=complete_corpus)
def approve(corpus: str) -> int:
    """Make the version of CORPUS that waits for approval live."""
    registry = find_registry(corpus)
    require_published(registry)
    from tasks.retrieval.edits import approve as approve_waiting

    manifest = registry.change(approve_waiting)
    print_text(f"{corpus}: version {manifest.version} is live (recall@10 {manifest.recall_at_10:.3f})")
    _announce_approved(registry.folder, manifest)
    return 0


@click.command()
@click.argument("corpus", shell_complete=complete_corpus)
def decline(corpus: str) -> int:
    """Withdraw the version of CORPUS that waits for approval; the same data and settings do not ask again.

    What is live answers on.
    """
    registry = find_registry(corpus)
    require_published(registry)
    declined = registry.change(lambda update: update.decline())
    live = registry.live().version
    print_text(f"{corpus}: version {declined} is withdrawn; {f'{live} answers on' if live else 'nothing is live yet'}")
    from flows.environment import start_prefect

    start_prefect()
    from flows.approval import answer_elsewhere
    from flows.server import answers, server_address, use_server

    if answers(server_address()):
        with use_server(start=False):
            answer_elsewhere(registry.manifest(declined), go_live=False)
    return 0


def _announce_approved(folder: Path, manifest: Any) -> None:  # noqa: ANN401 - VersionManifest, imported late
    """Let Prefect know, where a server answers, that a version went live: others wait for that event."""
    from flows.environment import start_prefect

    start_prefect()
    from flows.announcements import announce
    from flows.approval import answer_elsewhere
    from flows.messages import send_message
    from flows.server import answers, server_address, use_server

    file = folder / manifest.version / "settings.json"
    settings = json.loads(file.read_bytes()) if file.exists() else {}
    figures = {name: getattr(manifest, name) for name in ("version", "run", "recall_at_1", "recall_at_10", "test_rows")}
    if answers(server_address()):
        with use_server(start=False):
            if answer_elsewhere(manifest, go_live=True):  # that run announces it, as one that is answered in the UI
                return
            result = RunResult(status="published", corpus=manifest.corpus, **figures)
            announce(result, settings.get("publish", {}).get("on_published"))
    send_message(f"{manifest.corpus}: Published", f"version {manifest.version}, approved")


def find_registry(corpus: str) -> Any:  # noqa: ANN401 - ModelRegistry, imported late
    """Return the registry of a corpus; SettingsError where nothing was ever published, as far as this disk knows."""
    from flows.corpora import NAME
    from tasks.registry import ModelRegistry

    if not NAME.fullmatch(corpus):
        raise SettingsError(f"{corpus!r} is no name of a corpus: lower-case letters, digits, - and _ make one")
    registry = ModelRegistry.of(corpus)
    if not registry.has_store:  # what a store has is known when it has been asked
        require_published(registry)
    return registry


def require_published(registry: Any) -> None:  # noqa: ANN401 - ModelRegistry, imported late
    """Refuse a corpus of which nothing was ever published."""
    from schemas.workspace import default_home
    from tasks.registry import list_corpora

    if not registry.exists():
        known = list_corpora(default_home())
        meant = did_you_mean(registry.corpus, nearest(registry.corpus, known)) or "."
        raise SettingsError(
            f"no model of corpus {registry.corpus!r} in DSSM_HOME = {default_home()}; there are: "
            f"{', '.join(known) or 'none'}{meant} Make one: "
            f"dssm run {registry.corpus} (--source FILE, where it has no TOML), or set DSSM_HOME to where it lies"
        )
