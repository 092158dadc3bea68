"""The command that says why standard questions were found."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import click

from flows.commands.models import load_retriever
from flows.commands.options import FILTER, VALID_AT, complete_corpus, read_filters
from flows.commands.output import print_text


@click.command()
@click.argument("corpus", shell_complete=complete_corpus)
@click.argument("text")
@click.option("--top", default=3, show_default=True, type=click.IntRange(1, 20), help="How many standard questions.")
@FILTER
@VALID_AT
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def explain(corpus: str, text: str, top: int, filters: Sequence[str], valid_at: str, as_json: bool) -> int:
    """Say why the live model of CORPUS finds what it finds for TEXT: n-grams of it, and training queries kept.

    \b
    dssm explain bank "怎么提前还款"

    Without hidden layers (the default) the shares of all n-grams and the rest sum to the score. With them, or with
    another tower, the share of an n-gram is what the score loses without it. Training queries are shown with file and
    line, unless model.exemplar_texts is false.
    """
    from tasks.retrieval.explain import explain as explain_query

    found = explain_query(load_retriever(corpus).model, text, top, *read_filters(filters, valid_at))
    if as_json:
        results = [
            {"standard_question": one.hit.standard_question, "score": round(one.hit.score, 6)}
            | {"payload": one.hit.payload, "why": one.why.model_dump()}
            for one in found
        ]
        print_text(json.dumps({"query": text, "results": results}, ensure_ascii=False))
        return 0
    for one in found:
        print_text(f"{one.hit.score:6.3f}  {one.hit.standard_question}")
        for line in _describe(one.why):
            print_text(f"        {line}")
    return 0


def _describe(why: Any) -> list[str]:  # noqa: ANN401 - Explanation, imported late
    """Return the lines that explain one standard question."""
    shares = Counter[str]()  # a word may be known as n-grams of characters, too: a person looks at one text
    for one in why.ngrams:
        shares[one.ngram] += one.share
    ngrams = "  ".join(f"{text} {share:+.3f}" for text, share in shares.most_common())
    lines = [f"{'n-grams' if why.method == 'exact' else 'lost without'}: {ngrams or 'none is known'}"]
    if why.rest is not None:
        lines[0] += f"  others {why.other_ngrams:+.3f}  rest {why.rest:+.3f}"
    for one in why.kept:
        where = f" ({one.source}, line {one.line})" if one.line else f" ({one.source})" if one.source else ""
        text = one.query if one.query is not None else "a training query, whose text the model does not keep"
        lines.append(f"{one.share:+.3f} by {text}{where}, cosine {one.cosine:.3f}")
    return lines
