"""What customers ask now, against what the corpus has: weeks, new words, what grows and what dies. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta

from schemas.doctor import Traffic, Week
from schemas.language import Words
from schemas.settings import Doctor
from tasks.doctor.log import Asked

_WORDS = 20
_LISTED = 20
_FEWEST = 3  # times that something must be asked, to be reported
_GROWN = 2.0  # times as often in the later half
_LATER = 0.5  # of the days


def describe_traffic(
    log: Sequence[Asked],
    answered: Callable[[Asked], bool],
    first: Mapping[str, str],
    known_words: set[str],
    cut: Callable[[str], Iterable[str]],
    sizes: Mapping[str, int],
) -> Traffic:
    """Return how the log differs from the corpus.

    Args:
        log: what was asked.
        answered: whether a query was.
        first: by normalised query, the standard question that it is answered with.
        known_words: words of the corpus.
        cut: the words of a normalised query.
        sizes: training rows by standard question.
    """
    weeks: dict[date, list[bool]] = {}
    for one in log:
        if (day := _day(one.at)) is not None:
            weeks.setdefault(day - timedelta(days=day.weekday()), []).append(answered(one))
    said, new = Counter[str](), Counter[str]()
    for one in log:
        words = [word for word in set(cut(one.norm)) if len(word) > 1]
        said.update(words)
        new.update(word for word in words if word not in known_words)
    early, late = _halves(log)
    before, after = (Counter(first[one.norm] for one in part if one.norm in first) for part in (early, late))
    scale = len(early) / max(1, len(late))
    growing = [
        (text, before[text], count)
        for text, count in after.most_common()
        if count >= _FEWEST and count * scale >= _GROWN * max(1, before[text])
    ]
    dying = [(text, count, after[text]) for text, count in before.most_common() if count >= _FEWEST and not after[text]]
    asked = before + after
    never = sorted((text for text in sizes if not asked[text]), key=lambda text: (-sizes[text], text))
    open_ones = sum(not answered(one) for one in log)
    return Traffic(
        queries=len(log),
        unanswered_share=open_ones / max(1, len(log)),
        new_word_share=sum(new.values()) / max(1, sum(said.values())),
        weeks=[
            Week(start=start.isoformat(), queries=len(answered), unanswered=answered.count(False))
            for start, answered in sorted(weeks.items())
        ],
        new_words=[(word, count) for word, count in new.most_common(_WORDS) if count >= _FEWEST],
        growing=growing[:_LISTED] if early else [],
        dying=dying[:_LISTED] if late else [],
        never_asked=len(never),
        never_examples=never[:_LISTED],
    )


def find_warnings(traffic: Traffic, bounds: Doctor, words: Words) -> list[str]:
    """Return a sentence for each bound that the log breaks."""
    shares = {
        "max_unanswered_share": ("doctor.unanswered_warning", traffic.unanswered_share),
        "max_new_word_share": ("doctor.new_words_warning", traffic.new_word_share),
    }
    return [
        words(key, share=share, limit=getattr(bounds, name), setting=f"doctor.{name}")
        for name, (key, share) in shares.items()
        if share > getattr(bounds, name)
    ]


def _halves(log: Sequence[Asked]) -> tuple[list[Asked], list[Asked]]:
    """Return the queries of the earlier and of the later half of the days; without days, of the lines."""
    days = [_day(one.at) for one in log]
    known = [day for day in days if day is not None]
    if len(known) < len(log):
        middle = int(len(log) * _LATER)
        return list(log[:middle]), list(log[middle:])
    middle_day = min(known) + (max(known) - min(known)) * _LATER
    early = [one for one, day in zip(log, known, strict=True) if day <= middle_day]
    return early, [one for one, day in zip(log, known, strict=True) if day > middle_day]


def _day(at: str) -> date | None:
    try:
        return datetime.fromisoformat(at).date()
    except ValueError:
        return None
