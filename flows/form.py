"""The form of a deployment: a few settings as fields, every other one by its name in a text. Pure."""

from collections.abc import Mapping
from typing import Any

#: What a person changes for one run, by section; True: the whole field.
_SHOWN: dict[str, tuple[str, ...] | bool] = {
    "name": True,
    "source": ("path", "test_path", "questions_path"),
    "model": ("tower", "embedding_dim", "hidden_dims", "ensemble"),
    "publish": ("go_live",),
}


def fold(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a flow's parameters with the settings that are not shown out of the form's sight.

    They are still checked: a form draws `properties`, and what stands in `patternProperties` is for the server alone.
    """
    definitions = dict(schema.get("definitions", {}))
    if corpus := definitions.get("CorpusSettings"):
        for name, shown in _SHOWN.items():
            if not isinstance(shown, bool):
                section = corpus["properties"][name]["$ref"].rpartition("/")[2]
                definitions[section] = _show(definitions[section], shown)
        definitions["CorpusSettings"] = _show(corpus, tuple(_SHOWN))
    return {**schema, "definitions": definitions}


def _show(section: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    """Return the schema of a section that draws these fields alone, in this order."""
    fields = section["properties"]
    hidden = {f"^{name}$": field for name, field in fields.items() if name not in names}
    return {**section, "properties": {name: fields[name] for name in names}, "patternProperties": hidden}
