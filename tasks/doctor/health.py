"""health.html: what a person who knows no machine learning wants to know of her corpus, on one page without network.

The looks are those of report.html; the same rules hold: what comes from the corpus is escaped, and the page forbids
itself scripts and addresses.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

from schemas.display import as_markdown
from schemas.doctor import Action, Diagnosis, Receipt
from schemas.language import Language, Words, read_words
from tasks.doctor.plots import plot_confusions, plot_forecast, plot_receipts, plot_sizes, plot_traffic
from tasks.evaluate.metrics import FEW_ROWS
from tasks.evaluate.plots import to_data_uri
from tasks.evaluate.report import report_environment

THINGS = 5
_GOOD, _FAIR = {1: 0.75, 10: 0.9}, 0.75  # recall by k that is good, and recall@10 that is fair
_LEAST = 0.05  # of 10,000 customers: less is shown as nothing
_SHOWN = 3  # examples of a thing
_LISTED = 12  # pairs with their queries
_FED = (5, 20)  # the neediest standard questions, and the next, are things of their own
_ALONE = ("feed", "new", "add")  # one of them is named


class Thing(NamedTuple):
    """One of the first things to do."""

    kind: str
    title: str
    gain: float  # points of recall@10
    effort: int
    actions: Sequence[Action]  # the first of them


def list_things(said: Diagnosis, words: Words, most: int = THINGS) -> list[Thing]:
    """Return the first things to do that win anything, most per query first; decisions of one kind are one thing."""
    groups: dict[tuple[str, int], list[Action]] = {}
    fed = 0
    for action in said.actions:
        part = sum(fed >= end for end in _FED) if action.kind == "feed" else 0
        fed += action.kind == "feed"
        groups.setdefault((action.kind, part), []).append(action)
    things = []
    for (kind, _), actions in groups.items():
        effort, gain = sum(one.effort for one in actions), sum(one.gain for one in actions)
        facts = {"question": actions[0].standard_question, "effort": effort, "count": len(actions)}
        title = words(f"health.{kind}_one" if len(actions) == 1 and kind in _ALONE else f"health.{kind}", **facts)
        things.append(Thing(kind, title, gain, effort, actions[:_SHOWN]))
    things = [thing for thing in things if 100 * thing.gain >= _LEAST]
    return sorted(things, key=lambda thing: -thing.gain / max(1, thing.effort))[:most]


def say_state(said: Diagnosis, words: Words) -> str:
    """Return the state of a corpus in one sentence."""
    if not said.tested:
        return words("health.nothing", corpus=said.corpus)
    few = said.tested < FEW_ROWS
    of, ten, first = said.tested if few else 100, said.recall_at_10, said.recall_at_1
    grade = "good" if min(ten - _GOOD[10], first - _GOOD[1]) >= 0 else "fair" if ten >= _FAIR else "poor"
    grade = "held" if said.held else "few" if few else grade
    found = words("health.found_few" if few else "health.found", of=of, ten=round(of * ten), first=round(of * first))
    return words("health.state", found=found, grade=words(f"health.grade_{grade}", corpus=said.corpus))


def describe_health(said: Diagnosis, language: Language) -> str:
    """Return state, first things and forecast as Markdown, for the Prefect UI."""
    words = read_words(language)
    lines = [f"# {as_markdown(say_state(said, words))}", "", f"## {words('health.things')}", ""]
    for number, thing in enumerate(list_things(said, words), 1):
        won = words("health.won", effort=thing.effort)
        lines.append(f"{number}. **{as_markdown(thing.title)}**: {100 * thing.gain:+,.1f} {won}")
    svg = plot_forecast(said, words)
    lines += ["", f"![{words('health.plot_forecast')}]({to_data_uri(svg)})", ""]
    return "\n".join(lines)


def render_health(
    said: Diagnosis,
    language: Language,
    receipts: Sequence[Receipt] = (),
    files: Sequence[str] = (),
    finished: str = "",
) -> str:
    """Return the page.

    Args:
        said: the diagnosis.
        language: of the page.
        receipts: what was applied earlier, oldest first.
        files: the to-do list beside the page.
        finished: when.
    """
    words = read_words(language)
    settled = [one for one in receipts if one.outcome]
    return (
        report_environment(Path(__file__).parent, words=words)
        .get_template("health.html.j2")
        .render(
            said=said,
            state=say_state(said, words),
            things=list_things(said, words),
            plots=_draw(said, settled, words),
            receipts=settled[::-1],
            waiting=[one for one in receipts if not one.outcome],
            pairs=said.confusions[:_LISTED],
            files=files,
            finished=finished,
        )
    )


def _draw(said: Diagnosis, settled: Sequence[Receipt], words: Words) -> dict[str, Markup]:
    """Return each plot twice, for a wide and a narrow page; the style sheet shows one."""
    plots: dict[str, Markup] = {}
    for narrow in (False, True):
        drawn = {
            "forecast": plot_forecast(said, words, narrow),
            "sizes": plot_sizes(said, words, narrow),
            "confusions": plot_confusions(said.confusions, words, narrow) if said.confusions else "",
            "traffic": plot_traffic(said.traffic, words, narrow) if said.traffic and said.traffic.weeks else "",
            "receipts": plot_receipts(settled, words, narrow) if settled else "",
        }
        width = "narrow" if narrow else "wide"
        for name, svg in drawn.items():
            plots[name] = plots.get(name, Markup()) + Markup(f'<div class="{width}">{svg}</div>')
    return plots
