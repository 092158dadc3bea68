"""The page of all settings, made from their schema: docs/settings.md is this text."""

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from schemas.section import Bound, Section
from schemas.settings import CorpusSettings

_HEAD = """# Settings

A corpus is one TOML, `data/corpora/<name>.toml`; only what differs from the defaults stands in it.
`--set section.key=value` changes a value for one run; `null` empties one. An unknown key is refused, and the nearest
known one named.

A bound has two levels, `warn` and `stop`. One that is not given keeps its default: `--set validate.min_rows.warn=500`
leaves the stop as it is. `""` switches a level off: `--set validate.min_rows.stop=""`.

Made by `dssm settings > docs/settings.md`; a test compares it with `schemas/settings.py`.
"""


def settings_page(section: str | None = None) -> str:
    """Return the settings as Markdown, a table per section.

    Args:
        section: only this one, e.g. "model" or "validate.drift"; None: all, with a head.

    Raises:
        KeyError: there is no such section.
    """
    tables = dict(_tables(CorpusSettings, ""))
    if section is not None:
        return tables[section]
    return "\n".join([_HEAD, *tables.values()])


def section_names() -> list[str]:
    """Return the names of all sections; "" is the top of the file."""
    return [name for name, _ in _tables(CorpusSettings, "")]


def _tables(section: type[BaseModel], name: str) -> Iterator[tuple[str, str]]:
    """Yield a section's name and table, then those of the sections within it."""
    fields = {field.alias or key: field for key, field in section.model_fields.items()}
    nested = {key: kind for key, field in fields.items() if (kind := _section_of(field)) is not None}
    rows = [_row(section, key, field) for key, field in fields.items() if key not in nested]
    title = f"## `[{name}]`" if name else "## Top of the file"
    note = " ".join((section.__doc__ or "").split("\n\n")[0].split())
    head = ["| setting | default | what it decides |", "|---|---|---|"]
    yield name, "\n".join([title, "", note, "", *head, *rows, ""])
    for key, kind in nested.items():
        yield from _tables(kind, f"{name}.{key}".lstrip("."))


def _section_of(field: FieldInfo) -> type[Section] | None:
    kind = field.annotation
    return kind if isinstance(kind, type) and issubclass(kind, Section) and not issubclass(kind, Bound) else None


def _row(section: type[BaseModel], key: str, field: FieldInfo) -> str:
    # the form's description: with the bounds in words
    text = section.model_json_schema()["properties"][key].get("description", "")
    return f"| `{key}` | {_default(field)} | {_cell(text)} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "(required)"
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, Bound):
        levels = [f"{level} {bound:g}" for level, bound in value.model_dump().items() if bound is not None]
        return ", ".join(levels) or "none"
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, list | tuple):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
