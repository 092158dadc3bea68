"""Similar queries that a language model drafts for the neediest standard questions. Off unless DSSM_LLM_URL is set.

Any server that speaks OpenAI's chat completions will do. It is sent the standard question and a few of its queries, and
nothing else. Of what it writes, the owner gets what the live model places under the right standard question; a draft is
marked as one, is hers to accept, and is never tested on.
"""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Sequence
from typing import NamedTuple, Self

from schemas.doctor import Action
from schemas.errors import MachineFault, SettingsError
from schemas.language import Words
from tasks.retrieval.normalise import normalise
from tasks.retrieval.retriever import Hit, Model

_SECONDS = 60
_LARGEST = 1 << 20  # bytes of an answer
_EXAMPLES = 8
_AMONG, _BEHIND = 3, 0.05  # the right standard question is among the first so many, and so far behind at most
_LONGEST = 200  # characters of a query


class Writer(NamedTuple):
    """A language model behind an address."""

    url: str  # that ends before /chat/completions
    key: str
    model: str

    @classmethod
    def from_environment(cls) -> Self:
        """Return the one that DSSM_LLM_URL, DSSM_LLM_KEY and DSSM_LLM_MODEL name.

        Raises:
            SettingsError: there is none.
        """
        url = os.environ.get("DSSM_LLM_URL", "").strip().rstrip("/")
        if not url.startswith(("http://", "https://")):
            raise SettingsError(
                "drafts need a language model: set DSSM_LLM_URL to the address of an OpenAI-compatible server, e.g. "
                "http://127.0.0.1:8080/v1 (and DSSM_LLM_MODEL, DSSM_LLM_KEY); nothing is sent anywhere without it"
            )
        return cls(url, os.environ.get("DSSM_LLM_KEY", ""), os.environ.get("DSSM_LLM_MODEL", "default"))

    def write(self, prompt: str) -> list[str]:
        """Return the lines of its answer.

        Raises:
            MachineFault: it does not answer, or not in the way of OpenAI's.
        """
        body = {"model": self.model, "messages": [{"role": "user", "content": prompt}]}
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {self.key}"} if self.key else {})
        request = urllib.request.Request(f"{self.url}/chat/completions", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
                said = json.loads(answer.read(_LARGEST))["choices"][0]["message"]["content"]
        except (urllib.error.URLError, OSError, ValueError, LookupError, TypeError) as error:
            raise MachineFault(
                f"the language model at {self.url} gave no answer that can be read ({type(error).__name__}: {error}); "
                "look at DSSM_LLM_URL and its log, or do without --drafts"
            ) from error
        return str(said).splitlines()


def draft(
    actions: Sequence[Action], examples: dict[str, list[str]], writer: Writer, model: Model, words: Words
) -> list[Action]:
    """Return drafted queries for the standard questions that some actions want to feed.

    Args:
        actions: of the kind "feed".
        examples: queries of each standard question.
        writer: who writes.
        model: who judges.
        words: of the language.
    """
    drafted = []
    for action in actions:
        known = examples.get(action.standard_question, [])
        facts = {"question": action.standard_question, "count": 2 * action.effort}
        prompt = words("doctor.prompt", **facts, examples="\n".join(known[:_EXAMPLES]))
        kept = choose(writer.write(prompt), action.standard_question, known, model)[: action.effort]
        if kept:
            share = len(kept) / action.effort
            update = {
                "new_queries": kept,
                "effort": len(kept),
                "drafted": True,
                "why": words("doctor.draft_why"),
                "gain": share * action.gain,
                "gain_at_1": share * action.gain_at_1,
            }
            drafted.append(action.model_copy(update=update))
    return drafted


def choose(lines: Sequence[str], question: str, known: Sequence[str], model: Model) -> list[str]:
    """Return the drafts that are new, and that the model places near their own standard question."""
    seen, fresh = {normalise(text) for text in [question, *known]}, list[str]()
    for line in lines:
        text = line.strip().lstrip("-*•0123456789.、)） ").strip("\"“”'「」 ")
        if text and len(text) <= _LONGEST and (norm := normalise(text)) and norm not in seen:
            seen.add(norm)
            fresh.append(text)
    found = model.search(fresh, _AMONG) if fresh else []
    return [text for text, hits in zip(fresh, found, strict=True) if _is_near(hits, question)]


def _is_near(hits: Sequence[Hit], question: str) -> bool:
    """Tell whether a standard question is answered first, or hardly after the first."""
    return any(hit.standard_question == question and hit.score >= hits[0].score - _BEHIND for hit in hits)
