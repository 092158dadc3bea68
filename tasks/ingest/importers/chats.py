"""Chats as models are tuned on: a message and the reply to it, which is its standard question where replies come again.

OpenAI has `messages`, ShareGPT `conversations`, Gemini `contents`; what the system says belongs to neither.
"""

from collections.abc import Iterator
from typing import Any

from schemas.errors import SourceError
from schemas.settings import Source
from tasks.ingest.importers.look import DocumentImporter, Look
from tasks.ingest.labels import Imported, plain_row
from tasks.ingest.tables import TORN, BadRow, as_text
from tasks.ingest.values import Item, Outline, objects

_CHATS = ("messages", "conversations", "contents")
_USERS, _OTHERS = ("user", "human"), ("system", "developer", "tool")
_REPEATED = 0.9  # at most so many of the replies differ, where they are standard questions


def _turns(value: Any) -> list[tuple[str, str]] | None:  # noqa: ANN401  # a document holds anything
    """Return who says what in a chat; None: it is none."""
    chat = next((objects(value[key]) for key in _CHATS if key in value), []) if isinstance(value, dict) else []
    said = [(as_text(turn.get("role", turn.get("from"))), _text(turn)) for turn in chat]
    return [turn for turn in said if turn[0] not in _OTHERS] if said and all(who for who, _ in said) else None


def _text(turn: dict[str, Any]) -> str:
    parts = turn.get("content", turn.get("value", turn.get("parts")))
    return "".join(as_text(part.get("text")) for part in objects(parts)) if isinstance(parts, list) else as_text(parts)


def _is_single(turns: list[tuple[str, str]]) -> bool:
    """Whether a chat is one message of a user and one reply."""
    return [who in _USERS for who, _ in turns] == [True, False]


class _Chats(DocumentImporter):
    """Chats of one message each; others are told."""

    def recognise(self, look: Look) -> bool:
        """Whether it holds chats.

        Raises:
            SourceError: their replies are answers, or there are several messages in most of them.
        """
        if look.outline is None or not self.fits(look.outline):
            return False
        chats = [turns for samples in look.outline.lists.values() for turns in map(_turns, samples) if turns]
        single = [turns for turns in chats if _is_single(turns)]
        if 2 * len(single) <= len(chats) or len({turns[1][1] for turns in single}) > _REPEATED * len(single):
            raise SourceError(
                f"{look.file.name} holds chats, and {'their replies differ' if single else 'they have several turns'}: "
                "a reply is no standard question. Write a line for each message of a user, with the standard question "
                'that it should find: {"query": "...", "standard_question": "..."}'
            )
        return True


def _fits(outline: Outline) -> bool:
    return any(2 * sum(bool(_turns(one)) for one in samples) > len(samples) for samples in outline.lists.values())


def _convert(item: Item, _: Source) -> Iterator[Imported]:
    turns = _turns(item.value) if item.listed else None
    if turns and _is_single(turns):
        yield plain_row(item.line, turns[0][1], turns[1][1].strip())
    elif turns:
        yield BadRow(item.line, TORN, turns[0][1], None)


CHATS = _Chats("chats of a message and its standard question", _fits, _convert)
