"""From data/corpora/*.toml and the command line to the settings of a corpus."""

import codecs
import itertools
import json
import logging
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from schemas.addresses import is_remote, redact
from schemas.errors import SettingsError
from schemas.settings import CorpusSettings, use_new_names
from schemas.suggestions import did_you_mean, nearest
from schemas.workspace import CHECKOUT, default_home
from tasks.registry import ModelRegistry, list_corpora

_PATHS = {
    "source": ("path", "test_path", "questions_path", "unlabelled"),
    "decisions": ("foreign_path",),
    "publish": ("changes_log", "golden_path"),
    "text": ("user_dictionary",),
}
_ANY_CORPUS = {"name": "any", "source": {"path": "rows.csv"}}
NAME = re.compile(r"[a-z][a-z0-9_-]*")  # of a corpus, as schemas.settings has it
_LOGGER = logging.getLogger("dssm.settings")
_LONGEST_TOML, _LONGEST_PATH, _LONGEST_KEY = 1 << 20, 4096, 100  # bytes, characters, characters that are shown
_LONGEST_VALUE = 200  # characters that are shown
_TYPES = ("str", "int", "float", "bool")
_MOST_PARTS = 1000  # of a key
_ADDRESS = re.compile(r"^[a-z][a-z0-9+.-]*:", re.IGNORECASE)  # s3://..., bundled:c


def find_tomls() -> dict[str, Path]:
    """Return the TOML of every known corpus by name: those of DSSM_HOME, then those of the checkout."""
    found: dict[str, Path] = {}
    for folder in (default_home() / "corpora", CHECKOUT / "data" / "corpora"):
        for file in sorted(folder.glob("*.toml")):
            found.setdefault(file.stem, file)
    keys: dict[str, str] = {}
    for name in found:
        if other := keys.get(name.replace("_", "-")):
            raise SettingsError(
                f"corpora {other!r} and {name!r} collide: Prefect maps _ to -; rename one of their TOMLs"
            )
        keys[name.replace("_", "-")] = name
    return dict(sorted(found.items()))


def load_corpus(name: str, overrides: Mapping[str, Any] | None = None, own_source: bool = False) -> CorpusSettings:
    """Return the settings of a corpus: its TOML, else those remembered beside its live model.

    Args:
        name: of the corpus.
        overrides: merged in, deeply.
        own_source: the overrides bring a source, so that a name without a TOML is a new corpus.

    Raises:
        SettingsError: the corpus is unknown, or a setting is.
    """
    tomls = find_tomls()
    _refuse_collision(name, tomls)
    if overrides and overrides.get("name", name) != name:
        raise SettingsError(f"--set name={overrides['name']}: the corpus is called {name!r}; name it as dssm run NAME")
    if name in tomls:
        raw, where = _read_toml(tomls[name]), str(tomls[name])
        if raw.setdefault("name", name) != name:
            raise SettingsError(f"{where}: name = {raw['name']!r}, but the file is called {name}.toml; they must agree")
    elif own_source:
        raw, where = {"name": name}, "the command line"
    else:
        raw, where = _remembered(name), "the settings remembered beside the model"
    return build_settings(merge(raw, overrides or {}), where, overrides)


def _refuse_collision(name: str, tomls: Mapping[str, Path]) -> None:
    """Two names that are one to Prefect would share their deployment and the history of their artifacts."""
    for other in sorted({*tomls, *list_corpora(default_home())}):
        if other != name and other.replace("_", "-") == name.replace("_", "-"):
            raise SettingsError(
                f"corpora {other!r} and {name!r} collide: Prefect maps _ to -; choose another name than {name!r}"
            )


def build_settings(
    raw: Mapping[str, Any], where: str, overrides: Mapping[str, Any] | None = None, who: str = "--set"
) -> CorpusSettings:
    """Return validated settings; SettingsError names every wrong key with the nearest known one, and who set it."""
    try:
        return CorpusSettings.model_validate(raw, context={"fill_defaults": True})
    except ValidationError as error:
        problems = _of_one_branch(error.errors())
        typed = [_is_set_by(overrides or {}, problem["loc"]) for problem in problems]
        by = f" (by {who})"
        lines = [_explain(one) + by * (ours and not all(typed)) for one, ours in zip(problems, typed, strict=True)]
        blamed = who if all(typed) else where
        settings = {_setting_of(problem["loc"]) for problem in problems}
        raise SettingsError(f"{blamed}: {len(settings)} setting(s) are not valid\n  " + "\n  ".join(lines)) from error


def _is_set_by(overrides: Mapping[str, Any], path: Sequence[int | str]) -> bool:
    """Say whether the value at `path` comes from the overrides."""
    inner: Any = overrides
    for part in path:
        if not isinstance(inner, Mapping):
            return True  # within a value that was given as a whole
        if part not in inner:
            return False
        inner = inner[part]
    return bool(path)


def change_settings(corpus: CorpusSettings, overrides: str) -> CorpusSettings:
    """Return settings with what the lines of a form change, KEY=VALUE as `--set` has them.

    Raises:
        SettingsError: a line changes nothing that there is, or the corpus's name.
    """
    lines = [line.strip() for line in overrides.splitlines() if line.strip()]
    changes = parse_overrides(lines, "overrides")
    if changes.get("name", corpus.name) != corpus.name:
        raise SettingsError(f"overrides: this deployment is that of {corpus.name!r}; the name cannot be changed")
    raw = merge(corpus.model_dump(mode="json"), changes)
    return build_settings(raw, "the deployment's parameters", changes, "overrides") if lines else corpus


def parse_overrides(pairs: Sequence[str], who: str = "--set") -> dict[str, Any]:
    """Return changes as a nested dict: `model.hidden_dims=[64]`, values as in TOML; null empties one.

    Args:
        pairs: KEY=VALUE each.
        who: gave them, for messages.
    """
    merged: dict[str, Any] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise SettingsError(f"{who} {pair}: write it as section.key=value, e.g. model.hidden_dims=[64]")
        nested: Any = _parse_value(value.strip())
        for part in reversed(key.strip().split(".")):
            nested = {part: nested}
        merged = merge(merged, nested)
    return _with_absolute_paths(_renamed(merged, who), Path.cwd())


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return `base` with `changes` merged in, section by section."""
    merged = dict(base)
    for key, value in changes.items():
        old = merged.get(key)
        merged[key] = merge(old, value) if isinstance(old, Mapping) and isinstance(value, Mapping) else value
    return merged


def absolute(address: str, base: Path) -> str:
    """Return a local address as an absolute path from `base`; one with a scheme, or an empty one, stays as it is.

    Raises:
        SettingsError: it begins with the home of somebody who has none, or is longer than any path.
    """
    if not address.strip() or _ADDRESS.match(address):
        return address
    if len(address) > _LONGEST_PATH:
        raise SettingsError(
            f"{address[:40]}… has {len(address):,} characters; the longest path that systems know has {_LONGEST_PATH:,}"
        )
    try:
        return str((base / Path(address).expanduser()).absolute())
    except RuntimeError as error:
        home = Path(address).parts[0]
        raise SettingsError(f"{address}: {home} is nobody's home here; write the whole path") from error


def require_known(overrides: Mapping[str, Any]) -> None:
    """Refuse overrides that no corpus can have, before anything is started.

    Raises:
        SettingsError: an override is no setting, or has no value of its kind.
    """
    build_settings(merge(_ANY_CORPUS, overrides), "--set", overrides)


def default_value(key: str) -> str:
    """Return the default of a setting as `--set` takes it."""
    value: Any = build_settings(_ANY_CORPUS, "the defaults").model_dump(mode="json", by_alias=True)
    for part in key.split("."):
        value = value[part]
    return value if isinstance(value, str) else json.dumps(value)


def require_files(corpus: CorpusSettings) -> None:
    """Refuse settings that name what is not on this machine, before anything is started or read.

    What lies elsewhere is missed by the step that reads it, which tries again.

    Raises:
        SourceError: a file of rows or queries is not there.
        SettingsError: the user dictionary is not, or the encoder.
    """
    from tasks.ingest.addresses import find_files

    source, model = corpus.source, corpus.model
    if model.encoder:
        from tasks.train.encoder_files import settle_encoder

        model = settle_encoder(model)
    named = {
        "source.path": source.path,
        "source.test_path": source.test_path,
        "source.questions_path": source.questions_path,
        "source.unlabelled": source.unlabelled if model.serve == "bag" else None,
        "decisions.foreign_path": corpus.decisions.foreign_path,
        "publish.golden_path": corpus.publish.golden_path,
    }
    for setting, given in named.items():
        addresses = [given] if isinstance(given, str) else given or []
        if here := [address for address in addresses if not is_remote(address)]:
            find_files(here, Path.cwd(), setting)
    if corpus.text.user_dictionary:
        from tasks.retrieval.features import Tokeniser

        Tokeniser(corpus.text)


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        if file.exists() and not file.is_file() and not file.is_dir():  # a pipe or a device may have no end
            raise SettingsError(f"{file} is no file; make it one that holds settings")
        with file.open("rb") as stream:
            content = stream.read(_LONGEST_TOML + 1)
        if len(content) > _LONGEST_TOML:
            raise SettingsError(f"{file} has more than {_LONGEST_TOML:,} bytes: that is no TOML of a corpus")
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in content:
            raise SettingsError(
                f"{file} is text in UTF-16, or none at all; save it as UTF-8 (in Notepad: Save as, Encoding: UTF-8)"
            )
        text = content.decode("utf-8-sig")  # Notepad marks UTF-8
        if any(line.partition("=")[0].count(".") > _MOST_PARTS for line in text.splitlines() if "=" in line):
            raise SettingsError(f"{file} has a key of more than {_MOST_PARTS:,} parts")  # it takes the square of that
        raw = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise SettingsError(f"{file} is not UTF-8 (from byte {error.start} on); save it as UTF-8") from error
    except ValueError as error:  # no TOML, or a number of thousands of digits
        twice = any(word in str(error) for word in ("twice", "overwrite", "Duplicate"))  # tomllib's
        advice = "each section and each setting stands once" if twice else "a quotation mark or bracket may be missing"
        raise SettingsError(f"{file} is not TOML: {error}; look there, and above: {advice}") from error
    except OSError as error:
        raise SettingsError(
            f"{file} cannot be read: {error.strerror}; make it a file that this user can read"
        ) from error
    except RecursionError as error:
        raise SettingsError(f"{file} is nested too deep; settings have sections and values, no more") from error
    raw = _renamed(raw, str(file))
    return _with_absolute_paths(raw, file.parent)


def _renamed(raw: Mapping[str, Any], where: str) -> dict[str, Any]:
    """Return raw settings with the names of today; warn of each old one."""
    try:
        renamed, notes = use_new_names(raw)
    except ValueError as error:
        raise SettingsError(f"{where}: {error}") from error
    for note in notes:
        _LOGGER.warning("%s: %s", where, note)
    return renamed


def _with_absolute_paths(raw: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Return raw settings whose paths are absolute from `base`: a run may start in any folder."""

    def from_base(value: Any) -> Any:  # noqa: ANN401 - what stands in a TOML
        if isinstance(value, list):
            return [from_base(one) for one in value]
        return absolute(value, base) if isinstance(value, str) else value

    changed = dict(raw)
    for section, names in _PATHS.items():
        if isinstance(given := raw.get(section), Mapping):
            changed[section] = {key: from_base(value) if key in names else value for key, value in given.items()}
    _find_encoder(changed, base)
    return changed


def _find_encoder(raw: Mapping[str, Any], base: Path) -> None:
    """Make the path of a local encoder absolute; what is no folder is a name at the hub, or refused by train."""
    model = raw.get("model")
    if isinstance(model, dict) and isinstance(model.get("encoder"), str) and model["encoder"].strip():
        folder = Path(absolute(model["encoder"], base))
        if folder.is_dir():
            model["encoder"] = str(folder)


def _remembered(name: str) -> dict[str, Any]:
    registry = ModelRegistry.of(name) if NAME.fullmatch(name) else None
    live = None
    if registry:
        registry.follow()
        live = registry.cached_live()
    version = live and (live.version or live.pending)
    if not registry or not version:
        known = sorted({*find_tomls(), *list_corpora(default_home())})
        hint = did_you_mean(name, nearest(name, known)) or "."
        raise SettingsError(
            f"no corpus {name!r}{hint} Known: {', '.join(known) or 'none'}. Add "
            f"{default_home() / 'corpora' / name}.toml, or give its rows: dssm run {name} --source FILE"
        )
    content = (registry.fetch(version, "settings.json") / "settings.json").read_bytes()
    settings, _ = use_new_names(json.loads(content))  # all of them, defaults too: nobody wrote the old names
    if settings.pop("ray_address", None):  # whatever answers there would be believed: pickles come back
        _LOGGER.warning("%s: ray_address is not taken from a model's settings; set RAY_ADDRESS, or add a TOML", name)
    return settings


def _parse_value(text: str) -> Any:  # noqa: ANN401 - any TOML value
    if text in ("null", ""):
        return None
    try:
        (value,) = tomllib.loads(f"value = {text}").values()  # more, after a line end, is no value
        return value
    except (ValueError, RecursionError):
        return text  # a bare word: --set model.tower=lstm


def _of_one_branch(problems: Sequence[Any]) -> list[Any]:
    """Return what is wrong with each setting; of one with several types, such as a text or a list, what says most."""
    found: dict[tuple[int | str, ...], list[Any]] = {}
    for problem in problems:
        loc = problem["loc"]
        # A type of a union is no part of the name: str, list[str], function-after[check(), str].
        key = tuple(itertools.takewhile(lambda part: "[" not in str(part) and part not in _TYPES, loc))
        found.setdefault(key, []).append(
            problem | {"loc": (*key, *(one for one in loc[len(key) :] if isinstance(one, int)))}
        )
    return [
        one for group in found.values() for one in _merged([p for p in group if _says(p) == max(map(_says, group))])
    ]


def _merged(problems: Sequence[Any]) -> list[Any]:
    """Return one problem for each value: "a valid string or a valid list" where no type takes it."""
    merged: dict[Any, Any] = {}
    for problem in problems:
        if first := merged.get(problem["loc"]):
            problem = first | {"msg": f"{first['msg']} or {problem['msg'].removeprefix('Input should be ')}"}
        merged[problem["loc"]] = problem
    return [*merged.values()]


def _setting_of(path: Sequence[int | str]) -> tuple[int | str, ...]:
    """Return the name of a setting without the places in its list."""
    return tuple(reversed([*itertools.dropwhile(lambda part: isinstance(part, int), reversed(path))]))


def _says(problem: Any) -> tuple[bool, int]:  # noqa: ANN401 - pydantic's dict of an error
    return not problem["type"].endswith("_type"), len(problem["loc"])


def _explain(problem: Any) -> str:  # noqa: ANN401 - pydantic's dict of an error
    path = ".".join(str(part) for part in problem["loc"])[:_LONGEST_KEY]
    if problem["type"] == "extra_forbidden":
        known = known_keys()
        parent, _, last = path.rpartition(".")
        siblings = {key.rpartition(".")[2]: key for key in known if key.rpartition(".")[0] == parent}
        near = [siblings[key] for key in nearest(last, siblings, cutoff=0.5)]
        elsewhere = nearest(path, known, cutoff=0.5) or [key for key in known if key.endswith(f".{last}")]
        hint = did_you_mean(path, (near or elsewhere)[:1]) or f"; known here: {', '.join(siblings) or 'nothing'}"
        return f"{path}: no such setting{hint}"
    if problem["type"] == "model_type":  # one value for what has several
        return f"{path} has several values: {_name_parts(path)} (got {_show(problem['input'])})"
    if problem["input"] is None and problem["type"].endswith("_type"):
        return f"{path} cannot be empty; give it a value, or leave it out"
    given = "" if isinstance(problem["input"], dict) else f" (got {_show(problem['input'])})"
    message = problem["msg"].removeprefix("Value error, ")
    if path == "name" and problem["type"] == "string_pattern_mismatch":
        message = "lower-case letters, digits, - and _ make a name, a letter first"
    return f"{path or 'settings'}: {message[0].lower()}{message[1:]}{given}"


def _show(value: object) -> str:
    text = redact(repr(value))
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…, {len(text)} characters"


def _name_parts(path: str) -> str:
    """Return the settings of a section, or the two levels of a bound, by their dotted names."""
    return ", ".join(key for key in known_keys() if key.rpartition(".")[0] == path)


def known_keys(model: type[BaseModel] = CorpusSettings, prefix: str = "") -> list[str]:
    """Return the dotted names of all settings, sections included."""
    keys = []
    for name, field in model.model_fields.items():
        key = prefix + (field.alias or name)
        keys.append(key)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += known_keys(field.annotation, f"{key}.")
    return keys
