"""From broken bounds to findings that a corpus owner can act on, and the message of a rejection. Pure."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel

from schemas.language import Language, Words, read_words
from schemas.settings import Validation
from schemas.validation import Finding, Verdict
from tasks.validate.expectations import Outcome, RowsOutcome, Rule
from tasks.validate.places import shorten_paths
from tasks.validate.profile import Offenders, Profile

EXAMPLES = 3


class Broken(NamedTuple):
    """A finding and its offenders."""

    finding: Finding
    offenders: Offenders


class BoundRule(NamedTuple):
    """What one bound of the settings limits; the catalogue has the words of a breach."""

    setting: str  # field of Validation
    name: str  # of the finding, of its offenders in the profile, and of its texts in the catalogue
    statistic: str


BOUND_RULES = (
    BoundRule("min_rows", "rows", "rows"),
    BoundRule("min_classes", "classes", "classes"),
    BoundRule("min_class_rows", "smallest_class", "min_class_rows"),
    BoundRule("max_small_class_share", "small_classes", "small_class_share"),
    BoundRule("max_imbalance", "imbalance", "imbalance"),
    BoundRule("max_catch_all_share", "catch_all", "catch_all_share"),
    BoundRule("max_placeholder_share", "placeholder", "placeholder_share"),
    BoundRule("max_classes_per_query", "swapped", "classes_per_query"),
    BoundRule("max_boilerplate_share", "boilerplate", "boilerplate_share"),
    BoundRule("max_quarantined_share", "quarantined", "quarantined_share"),
    BoundRule("max_long_share", "long", "long_share"),
    BoundRule("max_damaged_share", "damaged", "damaged_share"),
    BoundRule("max_duplicate_share", "duplicates", "duplicate_share"),
    BoundRule("max_conflict_share", "conflicts", "conflict_share"),
    BoundRule("max_twin_classes", "twin_classes", "twin_classes"),
    BoundRule("max_order_z", "ordering", "order_z"),
)
_LEVELS = (("stop", "critical"), ("warn", "warning"))


def bound_rules(
    settings: BaseModel, words: Words, limits: Sequence[BoundRule] = BOUND_RULES, prefix: str = "validate"
) -> list[Rule]:
    """Return a rule for every level of every bound that is set, stop before warn.

    Args:
        settings: section that has the bounds.
        words: of the language.
        limits: what each bound limits.
        prefix: name of the section.
    """
    return [
        Rule(
            name=f"{prefix}.{bound_rule.setting}.{level}",
            statistic=bound_rule.statistic,
            minimum=limit if bound_rule.setting.startswith("min_") else None,
            maximum=None if bound_rule.setting.startswith("min_") else limit,
            severity=severity,  # type: ignore[arg-type] # one of the literals above
            description=type(settings).model_fields[bound_rule.setting].description or "",
            remedy=words.entries[f"finding.{bound_rule.name}.remedy"],
        )
        for bound_rule in limits
        for level, severity in _LEVELS
        if (limit := getattr(getattr(settings, bound_rule.setting), level)) is not None
    ]


def find_broken_bounds(
    outcomes: Iterable[Outcome],
    profile: Profile,
    settings: Validation,
    words: Words,
    columns: tuple[str, str] | None = None,
) -> list[Broken]:
    """Return one finding per bound that is broken, at its graver level; a corpus without rows has just one.

    Args:
        outcomes: of the rules.
        profile: of the corpus.
        settings: bounds.
        words: of the language.
        columns: that queries and standard questions were read from; None: they have no names.
    """
    if not profile.statistics["rows"]:
        return [_no_rows(profile, words)]
    return describe_broken(outcomes, BOUND_RULES, profile.offenders, _facts(profile, settings, words, columns), words)


def describe_broken(
    outcomes: Iterable[Outcome],
    limits: Sequence[BoundRule],
    offenders: Mapping[str, Offenders],
    facts: Mapping[str, object],
    words: Words,
) -> list[Broken]:
    """Return one finding per bound that is broken, at its graver level.

    Args:
        outcomes: of the rules that `bound_rules` made of `limits`.
        limits: what each bound limits.
        offenders: by name of the finding.
        facts: values that the statements may name.
        words: of the language.
    """
    by_setting = {bound_rule.setting: bound_rule for bound_rule in limits}
    broken: dict[str, Broken] = {}
    for outcome in outcomes:
        bound_rule = by_setting[outcome.rule.name.split(".")[-2]]
        if not outcome.success and bound_rule.name not in broken:
            behind = offenders.get(bound_rule.name, Offenders(0, []))
            broken[bound_rule.name] = Broken(_finding(bound_rule, outcome, behind, facts, words), behind)
    return list(broken.values())


def describe_failed(outcome: RowsOutcome, offenders: Offenders, words: Words) -> Finding:
    """Return the finding of an expectation of the settings that failed."""
    return Finding(
        rule=outcome.setting.removeprefix("validate."),
        severity=outcome.severity,
        statement=words("finding.custom_failed", description=outcome.description, summary=outcome.summary),
        offenders=offenders.total,
        examples=_examples(offenders),
        remedy=words("finding.custom_remedy", setting=outcome.setting),
    )


def decide(findings: list[Finding], profile: Profile, sampled_rows: int | None = None) -> Verdict:
    """Return the verdict: failed with any critical finding, with warnings where there is any."""
    severities = {finding.severity for finding in findings}
    rank = {"critical": 0, "warning": 1, "info": 2}
    return Verdict(
        outcome="fail" if "critical" in severities else "warn" if "warning" in severities else "pass",
        findings=sorted(findings, key=lambda finding: rank[finding.severity]),
        statistics=profile.statistics,
        class_sizes=profile.class_sizes,
        sampled_rows=sampled_rows,
    )


def describe_rejection(corpus: str, findings: list[Finding], file: str, language: Language = "en") -> str:
    """Return why a corpus is rejected: what, how many, where, examples, and what to do.

    Args:
        corpus: its name.
        findings: all of them.
        file: name of the one that lists their offenders.
        language: of the message.
    """
    words = read_words(language)
    critical = [finding for finding in findings if finding.severity == "critical"]
    others = [finding for finding in findings if finding.severity != "critical"]
    lines = [words("rejection.head", corpus=corpus, count=len(critical))]
    for finding in critical:
        lines.append(f"  {finding.rule}: {finding.statement}")
        lines += [f"      {example}" for example in finding.examples[:EXAMPLES]]
        if finding.offenders > len(finding.examples[:EXAMPLES]) > 0:
            lines.append("      " + words("example.in_all", count=finding.offenders, file=file))
        lines.append(f"    -> {finding.remedy}")
    lines += [
        f"  {words.name('severity', finding.severity)}: {finding.rule}: {finding.statement}" for finding in others
    ]
    return "\n".join(lines)


def _finding(
    bound_rule: BoundRule, outcome: Outcome, offenders: Offenders, facts: Mapping[str, object], words: Words
) -> Finding:
    rule, key = outcome.rule, f"finding.{bound_rule.name}"
    facts = {**facts, "examples": ", ".join(each.text for each in offenders.kept[:EXAMPLES])}
    if outcome.error or outcome.observed is None:
        statement = words("finding.broken_rule", setting=rule.name, error=outcome.error)
    else:
        bound, limit = ("wanted", rule.minimum) if rule.minimum is not None else ("allowed", rule.maximum)
        what = words(f"{key}.statement", **facts)
        statement = words(f"finding.{bound}", what=what, limit=_number(rule, limit))
    remedy = words(f"{key}.remedy", **facts)
    return Finding(
        rule=bound_rule.name,
        severity=rule.severity,
        statement=statement,
        offenders=offenders.total,
        examples=_examples(offenders),
        remedy=words(f"finding.{'raise' if rule.minimum is None else 'lower'}", remedy=remedy, setting=rule.name),
    )


def _no_rows(profile: Profile, words: Words) -> Broken:
    offenders = profile.offenders["quarantined"]
    reasons = _reasons(profile, words)
    some = words("finding.rows.none_usable", count=offenders.total, reasons=reasons)
    finding = Finding(
        rule="rows",
        severity="critical",
        statement=some if offenders.total else words("finding.rows.none"),
        offenders=offenders.total,
        examples=_examples(offenders),
        remedy=words("finding.rows.none_remedy"),
    )
    return Broken(finding, offenders)


def _reasons(profile: Profile, words: Words) -> str:
    counts = {
        words.name("reason", key.removeprefix("quarantined: ")): count or 0
        for key, count in profile.statistics.items()
        if key.startswith("quarantined: ")
    }
    ranked = sorted(counts.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{reason}: {count:,.0f}" for reason, count in ranked[:4]) + (", …" if len(ranked) > 4 else "")


def _number(rule: Rule, limit: float | None) -> str:
    return f"{100 * (limit or 0):g}%" if rule.statistic.endswith("_share") else f"{limit:,g}"


def _facts(profile: Profile, settings: Validation, words: Words, columns: tuple[str, str] | None) -> dict[str, object]:
    """Return the values that a statement may name: every statistic, the settings it refers to, and derived words."""
    facts: dict[str, object] = dict(profile.statistics)
    effect = "neighbours" if facts["batch_distinct"] is None else "batch"
    swap = words("finding.swapped.swap_unnamed")
    if columns:
        query, question = (shlex.quote(column) for column in reversed(columns))
        swap = words("finding.swapped.swap", query_column=query, question_column=question)
    return facts | {
        "effect": words(f"finding.ordering.{effect}", **facts),
        "reasons": _reasons(profile, words),
        "swap": swap,
        "longest_query": facts["max_query_characters"],
        "all_classes": (profile.statistics["classes"] or 0) + (profile.statistics["classes_without_rows"] or 0),
        "small_class_rows": settings.small_class_rows,
        "max_query_characters": settings.max_query_characters,
    }


def _examples(offenders: Offenders) -> list[str]:
    kept = offenders.kept[:EXAMPLES]
    short = shorten_paths(each.source for each in offenders.kept if each.source)
    return [each.text if each.source is None else f"{short[each.source]}:{each.line} {each.text}" for each in kept]
