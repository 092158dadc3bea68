"""From broken bounds to findings that a corpus owner can act on, and the message of a rejection. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from pydantic import BaseModel

from schemas.settings import Validation
from schemas.validation import Finding, Verdict
from tasks.validate.expectations import Outcome, RowsOutcome, Rule
from tasks.validate.profile import Offenders, Profile

EXAMPLES = 3


class Broken(NamedTuple):
    """A finding and its offenders."""

    finding: Finding
    offenders: Offenders


class BoundRule(NamedTuple):
    """What one bound of the settings limits, and the words of a breach."""

    setting: str  # field of Validation
    name: str  # of the finding, and of its offenders in the profile
    statistic: str
    statement: str  # format string over the statistics and the settings
    remedy: str


BOUND_RULES = (
    BoundRule(
        "min_rows",
        "rows",
        "rows",
        "the corpus has {rows:,.0f} usable rows",
        "add rows, or see the quarantine for those that were set aside",
    ),
    BoundRule(
        "min_classes",
        "classes",
        "classes",
        "the rows stand under {classes:,.0f} standard question(s)",
        "check that the column of standard questions is the right one (source.question_column), or add rows",
    ),
    BoundRule(
        "min_class_rows",
        "smallest_class",
        "min_class_rows",
        "the smallest standard question has {min_class_rows:,.0f} row(s) (median {median_class_rows:,.0f}); "
        "{one_row_classes:,.0f} of {classes:,.0f} have a single row: trained, but not tested in a split of ours",
        "write more queries for the standard questions that matter",
    ),
    BoundRule(
        "max_small_class_share",
        "small_classes",
        "small_class_share",
        "{small_classes:,.0f} of {classes:,.0f} standard questions ({small_class_share:.1%}) have at most "
        "{small_class_rows} rows",
        "expect low recall there; write more queries for them, or merge those that mean the same",
    ),
    BoundRule(
        "max_imbalance",
        "imbalance",
        "imbalance",
        "the largest standard question has {max_class_rows:,.0f} rows, {imbalance:,.1f} times the median of "
        "{median_class_rows:,.0f}",
        "look whether it is a catch-all that should be split or thinned out",
    ),
    BoundRule(
        "max_quarantined_share",
        "quarantined",
        "quarantined_share",
        "{quarantined_rows:,.0f} source row(s) ({quarantined_share:.2%}) are unusable and stand in the quarantine "
        "({reasons})",
        "repair them in the source; each stands in quarantine.parquet with its reason and line",
    ),
    BoundRule(
        "max_long_share",
        "long",
        "long_share",
        "{long_rows:,.0f} of {rows:,.0f} queries ({long_share:.2%}) are longer than {max_query_characters:,} "
        "characters (the longest: {longest_query:,.0f})",
        "cut e-mails and logs out of the queries, or raise validate.max_query_characters",
    ),
    BoundRule(
        "max_damaged_share",
        "damaged",
        "damaged_share",
        "{damaged_rows:,.0f} of {rows:,.0f} rows ({damaged_share:.2%}) hold text that was decoded with the wrong "
        "codepage",
        "export the source again as UTF-8, or name the right source.encoding",
    ),
    BoundRule(
        "max_duplicate_share",
        "duplicates",
        "duplicate_share",
        "{duplicate_rows:,.0f} of {rows:,.0f} rows ({duplicate_share:.1%}) repeat an earlier row: same query, same "
        "standard question",
        "remove them from the source, unless their number is how often customers ask",
    ),
    BoundRule(
        "max_conflict_share",
        "conflicts",
        "conflict_share",
        "{conflict_rows:,.0f} of {rows:,.0f} rows ({conflict_share:.1%}) hold a query that stands under several "
        "standard questions, so that one of them must come out wrong",
        "decide where each of these queries belongs, and delete its other rows",
    ),
    BoundRule(
        "max_twin_classes",
        "twin_classes",
        "twin_classes",
        "{twin_classes:,.0f} of {all_classes:,.0f} standard questions equal another one after normalising (width, "
        "case, white space); they are trained as different ones",
        "spell each standard question one way",
    ),
    BoundRule(
        "max_order_z",
        "ordering",
        "order_z",
        "rows stand ordered by standard question: {effect} (z = {order_z:,.0f})",
        "nothing to do here, training shuffles them; other programs that train on this file must shuffle it, too",
    ),
)
_LEVELS = (("stop", "critical"), ("warn", "warning"))


def bound_rules(settings: BaseModel, limits: Sequence[BoundRule] = BOUND_RULES, prefix: str = "validate") -> list[Rule]:
    """Return a rule for every level of every bound that is set, stop before warn.

    Args:
        settings: section that has the bounds.
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
            remedy=bound_rule.remedy,
        )
        for bound_rule in limits
        for level, severity in _LEVELS
        if (limit := getattr(getattr(settings, bound_rule.setting), level)) is not None
    ]


def find_broken_bounds(outcomes: Iterable[Outcome], profile: Profile, settings: Validation) -> list[Broken]:
    """Return one finding per bound that is broken, at its graver level; a corpus without rows has just one."""
    if not profile.statistics["rows"]:
        return [_no_rows(profile)]
    return describe_broken(outcomes, BOUND_RULES, profile.offenders, _words(profile, settings))


def describe_broken(
    outcomes: Iterable[Outcome],
    limits: Sequence[BoundRule],
    offenders: Mapping[str, Offenders],
    words: Mapping[str, object],
) -> list[Broken]:
    """Return one finding per bound that is broken, at its graver level.

    Args:
        outcomes: of the rules that `bound_rules` made of `limits`.
        limits: what each bound limits, and the words of a breach.
        offenders: by name of the finding.
        words: values that the statements may name.
    """
    by_setting = {bound_rule.setting: bound_rule for bound_rule in limits}
    broken: dict[str, Broken] = {}
    for outcome in outcomes:
        bound_rule = by_setting[outcome.rule.name.split(".")[-2]]
        if not outcome.success and bound_rule.name not in broken:
            behind = offenders.get(bound_rule.name, Offenders(0, []))
            broken[bound_rule.name] = Broken(_finding(bound_rule, outcome, behind, words), behind)
    return list(broken.values())


def describe_failed(outcome: RowsOutcome, offenders: Offenders) -> Finding:
    """Return the finding of an expectation of the settings that failed."""
    return Finding(
        rule=outcome.setting.removeprefix("validate."),
        severity=outcome.severity,
        statement=f"{outcome.description} failed: {outcome.summary}",
        offenders=offenders.total,
        examples=_examples(offenders),
        remedy=f"correct the rows, or change {outcome.setting}",
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


def describe_rejection(corpus: str, findings: list[Finding]) -> str:
    """Return why a corpus is rejected: what, how many, where, examples, and what to do."""
    critical = [finding for finding in findings if finding.severity == "critical"]
    others = [finding for finding in findings if finding.severity != "critical"]
    lines = [f"corpus {corpus!r} is rejected by {len(critical)} critical finding(s); nothing was trained or published"]
    for finding in critical:
        lines.append(f"  {finding.rule}: {finding.statement}")
        lines += [f"      {example}" for example in finding.examples[:EXAMPLES]]
        if finding.offenders > len(finding.examples[:EXAMPLES]) > 0:
            lines.append(f"      … {finding.offenders:,} in all, listed in findings.parquet")
        lines.append(f"    -> {finding.remedy}")
    lines += [f"  {finding.severity}: {finding.rule}: {finding.statement}" for finding in others]
    return "\n".join(lines)


def _finding(bound_rule: BoundRule, outcome: Outcome, offenders: Offenders, words: Mapping[str, object]) -> Finding:
    rule = outcome.rule
    if outcome.error or outcome.observed is None:
        statement = f"{rule.name} could not be evaluated: {outcome.error}"
    else:
        least = rule.minimum is not None
        limit = f"at least {_number(rule, rule.minimum)}" if least else f"at most {_number(rule, rule.maximum)}"
        statement = f"{bound_rule.statement.format_map(words)}; {'wanted' if least else 'allowed'}: {limit}"
    return Finding(
        rule=bound_rule.name,
        severity=rule.severity,
        statement=statement,
        offenders=offenders.total,
        examples=_examples(offenders),
        remedy=f"{rule.remedy}; or {'raise' if rule.minimum is None else 'lower'} {rule.name}",
    )


def _no_rows(profile: Profile) -> Broken:
    offenders = profile.offenders["quarantined"]
    unusable = f"all {offenders.total:,} source row(s) are unusable and stand in the quarantine ({_reasons(profile)})"
    finding = Finding(
        rule="rows",
        severity="critical",
        statement=f"no row can be used: {unusable if offenders.total else 'the source holds none'}",
        offenders=offenders.total,
        examples=_examples(offenders),
        remedy="look whether source.query_column and source.question_column name the right columns; repair the rows",
    )
    return Broken(finding, offenders)


def _reasons(profile: Profile) -> str:
    counts = {
        key.removeprefix("quarantined: "): count or 0
        for key, count in profile.statistics.items()
        if key.startswith("quarantined: ")
    }
    ranked = sorted(counts.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{reason}: {count:,.0f}" for reason, count in ranked[:4]) + (", …" if len(ranked) > 4 else "")


def _number(rule: Rule, limit: float | None) -> str:
    return f"{100 * (limit or 0):g}%" if rule.statistic.endswith("_share") else f"{limit:,g}"


def _words(profile: Profile, settings: Validation) -> dict[str, object]:
    """Return the values that a statement may name: every statistic, the settings it refers to, and derived words."""
    facts = profile.statistics
    effect = f"{facts['adjacent_equal']:,.0f} neighbouring rows share theirs where "
    effect += f"{facts['expected_adjacent_equal']:,.0f} were expected"
    if facts["batch_distinct"] is not None:
        effect = f"a batch of 64 rows holds {facts['batch_distinct']:.2g} distinct standard questions where "
        effect += f"{facts['expected_batch_distinct']:.2g} were expected"
    return {
        **facts,
        "effect": effect,
        "reasons": _reasons(profile),
        "longest_query": facts["max_query_characters"],
        "all_classes": (facts["classes"] or 0) + (facts["classes_without_rows"] or 0),
        "small_class_rows": settings.small_class_rows,
        "max_query_characters": settings.max_query_characters,
    }


def _examples(offenders: Offenders) -> list[str]:
    return [
        each.text if each.source is None else f"{each.source}:{each.line} {each.text}"
        for each in offenders.kept[:EXAMPLES]
    ]
