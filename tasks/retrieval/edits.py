"""Standard questions added, edited and removed by the index alone: a new version in a second, without any training.

The vector of an added one is made of its text and its similar queries, which become kept queries, too; weights and
features stay what they are. What was changed stands in the version's overlay.json, so that pointer, model and overlay
change at one moment, and are rolled back at one. The next run reads it: see `tasks.ingest.overlay`.
"""

import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from safetensors.numpy import save

from schemas.edits import Edit, Expected, Overlay, Value
from schemas.errors import EditError, NothingLive, PipelineError, StaleFile
from schemas.live import VersionManifest, parse_model
from schemas.suggestions import did_you_mean, nearest
from schemas.tables import EXEMPLARS
from schemas.workspace import SETTINGS_FILE
from tasks.registry import ModelRegistry
from tasks.retrieval.model_files import EXEMPLARS_FILE, read_arrays, read_table, reading
from tasks.retrieval.normalise import normalise, twin_key
from tasks.retrieval.payload import PAYLOAD_FILE, Payload
from tasks.retrieval.retriever import Model
from tasks.update import Update
from tasks.version_files import MANIFEST, now

OVERLAY_FILE = "overlay.json"
SOURCE = "dssm add"  # in place of a file, of queries that stand in none

_TEXT_WEIGHT = 0.5  # of a new standard question's own text in its vector, beside its similar queries
_SHOWN = 3
MOST_QUERIES = 1000  # similar queries of an edit
_CHARACTERS, _NAME, _VALUE = 1000, 100, 32_767  # at most: of a text, of a field's name, of its value as Excel has it
_LARGEST = 1e15  # of a number; beyond, it is a code
_EVALUATION = "evaluation.json"
_LOGGER = logging.getLogger("dssm.edits")
_CHANGED = {"model.safetensors", "standard_questions.parquet", "model.json", PAYLOAD_FILE, EXEMPLARS_FILE}
_BUCKETS = (("1-3", 3), ("4-10", 10), ("11-50", 50))


@dataclass(frozen=True)
class Edited:
    """What came of an edit."""

    version: str
    edit: Edit
    standard_questions: int
    overlay: Overlay
    expected: Expected | None
    warnings: list[str] = field(default_factory=list)
    elsewhere: list[str] = field(default_factory=list)  # its similar queries that another one has, in few words


@dataclass
class _Class:
    """One standard question while it is edited."""

    text: str
    id: str
    rows: int
    origin: int | None  # number it has in the model; None: it is new
    vector: NDArray[np.float32]  # (S, o)
    kept: NDArray[np.float16]  # (n, S, o)
    texts: list[dict[str, Any]] = field(default_factory=list)  # (n,) contract EXEMPLARS
    payload: dict[str, Value] = field(default_factory=dict)  # what is changed


def edit_live(registry: ModelRegistry, edit: Edit, model: Model | None = None) -> Edited:
    """Make an edited copy of the live version, and make it live.

    Args:
        registry: of the corpus.
        edit: what is to be changed; its standard question is named by its text, or its id, in the live version.
        model: the live version, where it is in memory.

    Raises:
        EditError: it cannot be done; the message says why.
        NothingLive: there is no version to edit.
    """

    def act(update: Update) -> Edited:
        folder, before = _open_live(update, model)
        named = _by_text(edit, before)
        check_edit(named, before)
        fields = {"payload": _name_fields(edit.payload, before), "similar_queries": _with_old_text(named)}
        stamped = named.model_copy(update={"at": now(), **fields})
        overlay = read_overlay(folder).followed_by(stamped)
        manifest = _make(update, folder, before, [stamped], overlay, stamped.describe())
        update.go_live(manifest, "edited")
        _prune(update, folder)
        rows = (
            int(before.rows[before.standard_questions.index(named.standard_question)]) if edit.action == "edit" else 0
        )
        expected = None if edit.action == "remove" else expect(folder, rows + len(stamped.similar_queries))
        count = len(before.ids) + {"add": 1, "edit": 0, "remove": -1}[edit.action]
        unknown = _find_unknown_fields(stamped, before, registry.corpus)
        return Edited(manifest.version, stamped, count, overlay, expected, unknown, find_elsewhere(stamped, before))

    return registry.change(act)


def drop_edit(registry: ModelRegistry, name: str) -> Edited:
    """Forget an edit: the next run goes by the export alone. What the live version answers stays till then.

    Raises:
        EditError: there is none of such a standard question.
        NothingLive: there is no version.
    """

    def act(update: Update) -> Edited:
        folder, before = _open_live(update, None)
        overlay = read_overlay(folder)
        if (edit := overlay.find(name)) is None:
            known = [one.name for one in overlay.edits]
            raise EditError(
                f"there is no edit of {name!r} to drop{did_you_mean(name, nearest(name, known))}; list them: "
                f"dssm edits {registry.corpus}"
            )
        manifest = _make(update, folder, before, [], overlay.without(edit), f"drop: {edit.describe()}")
        update.go_live(manifest, "edited")
        _prune(update, folder)
        return Edited(manifest.version, edit, len(before.ids), overlay.without(edit), None)

    return registry.change(act)


def approve(update: Update) -> VersionManifest:
    """Make the version that waits live, with what was edited since it was made.

    Raises:
        NothingLive: none waits.
        StaleFile: it is damaged.
    """
    waiting, edited = update.live.pending, None
    if waiting:
        known = read_overlay(update.registry.fetch(waiting)).edits
        late, overlay = _find_late(update, known, known)
        folder = update.registry.folder / waiting
        model = Model(folder) if late else None
        if model and (possible := [edit for edit in late if _is_possible(edit, model)]):
            said = "; ".join(edit.describe() for edit in possible)
            edited = _make(update, folder, model, possible, overlay, said)
    manifest = update.approve()
    if edited:
        update.go_live(edited, "edited")
    return edited or manifest


def carry_edits(
    update: Update, candidate: Path, known: Sequence[Edit], left: Sequence[Edit], scratch: Path
) -> tuple[Path, dict[str, bytes]]:
    """Return a candidate with what was edited while it was made (a copy, or itself), and the file of its overlay.

    Args:
        update: of the registry.
        candidate: complete; it has `known`.
        known: the edits that it was trained with.
        left: of them, those that the export does not have yet.
        scratch: an empty folder for the copy.
    """
    late, overlay = _find_late(update, known, left)
    if late:
        model = Model(candidate)
        build(candidate, scratch, model, [edit for edit in late if _is_possible(edit, model)])
    return scratch if late else candidate, _as_file(overlay)


def _find_late(update: Update, known: Sequence[Edit], left: Sequence[Edit]) -> tuple[list[Edit], Overlay]:
    """Return the edits of the live version that are not known, and the overlay of one that has them all."""
    late = [edit for edit in known_edits(update.registry, update.live.version)[0] if edit not in known]
    overlay = Overlay(edits=list(left))
    for edit in late:
        overlay = overlay.followed_by(edit)
    return late, overlay


def _as_file(overlay: Overlay) -> dict[str, bytes]:
    return {OVERLAY_FILE: overlay.model_dump_json(indent=1).encode()} if overlay.edits else {}


def read_overlay(folder: Path) -> Overlay:
    """Return the overlay of a version; an empty one where it has none.

    Raises:
        StaleFile: it is damaged.
    """
    if not (folder / OVERLAY_FILE).exists():
        return Overlay()
    with reading(folder / OVERLAY_FILE) as file:
        return parse_model(Overlay, file.read_bytes())


def live_overlay(registry: ModelRegistry, version: str | None = None) -> Overlay:
    """Return the overlay of a version, or of what is live; an empty one where nothing is, or it has none.

    Raises:
        StaleFile: it is damaged.
    """
    version = version or registry.live().version
    if version is None or OVERLAY_FILE not in registry.manifest(version).files:
        return Overlay()
    return read_overlay(registry.fetch(version, OVERLAY_FILE))


def known_edits(registry: ModelRegistry, version: str | None = None) -> tuple[list[Edit], list[str]]:
    """Return the edits of a version, or of what is live, and why they cannot be read: that must bar no new version."""
    try:
        return live_overlay(registry, version).edits, []
    except StaleFile as error:
        return [], [f"what was edited since the export cannot be read, and is left out: {error}"]


def check_edit(edit: Edit, model: Model) -> None:
    """Refuse an edit that cannot be made.

    Raises:
        EditError: an empty or damaged text, a standard question that is there already or is not there, an id that
            another one has, or nothing left to answer with.
    """
    for what, text in [("standard question", edit.name), *(("similar query", one) for one in edit.similar_queries)]:
        _check_text(what, text)
    if len(edit.similar_queries) > MOST_QUERIES:
        raise EditError(f"{len(edit.similar_queries)} similar queries, at most {MOST_QUERIES} go in one edit")
    if edit.id:
        _check_text("id", edit.id)
    for name, value in edit.payload.items():
        _check_text("name of a field", name, _NAME)
        for one in value if isinstance(value, list) else [value]:
            _check_value(name, one)
    if edit.action == "add":
        _check_new(edit.standard_question, model)
        if (taken := edit.id or edit.standard_question) in model.ids:
            raise EditError(f"the id {taken!r} is that of {model.standard_questions[model.ids.index(taken)]!r}")
    elif edit.standard_question not in model.standard_questions:
        near = nearest(edit.standard_question, model.standard_questions)
        raise EditError(
            f"there is no standard question {edit.standard_question[:90]!r}{did_you_mean(edit.standard_question, near)}"
        )
    if edit.action == "edit":
        if edit.text is not None and edit.text != edit.standard_question:
            _check_new(edit.text, model, but=edit.standard_question)
        elif not (edit.similar_queries or edit.payload):
            raise EditError("nothing is changed: give a new text, similar queries, or a field")
    if edit.action == "remove" and len(model.ids) <= 2:
        raise EditError(
            f"{edit.standard_question!r} is one of the last {len(model.ids)} standard questions: a model has at least 2"
        )


def find_elsewhere(edit: Edit, model: Model) -> list[str]:
    """Return which similar queries of an edit another standard question has, as its text or a kept query, and where."""
    wanted = {normalise(query): query for query in edit.similar_queries}
    owned = [(text, text, "its own text") for text in model.standard_questions] if wanted else []
    for owner, row in zip(model.kept_owners, model.kept_texts, strict=False) if wanted else ():
        place = f"{row['source']}:{row['line']}" if row["line"] else row["source"] or "its own text"
        owned.append((row["text"], model.standard_questions[owner], place))
    found = {
        (wanted[norm], owner): f"{wanted[norm]!r} is one of {owner!r} ({place})"
        for text, owner, place in reversed(owned)
        if owner not in (edit.name, edit.standard_question) and (norm := normalise(text)) in wanted
    }
    return [*reversed(found.values())]


def describe_elsewhere(found: Sequence[str]) -> str:
    """Return a sentence for a person; empty where nothing was found."""
    if not found:
        return ""
    shown = "; ".join(found[:_SHOWN]) + ("; …" if len(found) > _SHOWN else "")
    return (
        f"{len(found)} similar queries belong to another standard question, too: {shown}. Who asks so may find either; "
        "leave each to the one that answers it"
    )


def _by_text(edit: Edit, model: Model) -> Edit:
    """Return an edit that names its standard question by its text, where it was named by its id."""
    named = edit.standard_question
    if edit.action == "add" or named in model.standard_questions or named not in model.ids:
        return edit
    return edit.model_copy(update={"standard_question": model.standard_questions[model.ids.index(named)]})


def _with_old_text(edit: Edit) -> list[str]:
    """Return the similar queries of an edit, the text that it replaces among them: customers ask in its words still."""
    old = [edit.standard_question] if normalise(edit.name) != normalise(edit.standard_question) else []
    return [*dict.fromkeys([*edit.similar_queries, *old])]


def _name_fields(given: Mapping[str, Value], model: Model) -> dict[str, Value]:
    """Return values by the names that the model's fields have, of which one may be written in another case."""
    if not model.payload:
        return dict(given)
    known = {normalise(name): name for name in model.payload.fields}
    if answers := model.payload.notes.answers:
        known.setdefault("answer", answers[0])
    return {known.get(normalise(name), name): value for name, value in given.items()}


def _find_unknown_fields(edit: Edit, model: Model, corpus: str) -> list[str]:
    """Return a warning of each field that no standard question had before: it may be mistyped."""
    known = [*model.payload.fields] if model.payload else []
    return [
        f"no other standard question has the field {name!r}; there are: {', '.join(known) or 'none'}"
        f"{did_you_mean(name, nearest(name, known)) or '.'} If it was mistyped: dssm edit {corpus} {quote(edit.name)} "
        f"--field {quote(name)}="
        for name, value in edit.payload.items()
        if value is not None and name not in known and name != "answer"
    ]


def _check_value(name: str, value: Value) -> None:
    if isinstance(value, str) and value.strip():
        _check_text(f"value of {name!r}", value, _VALUE)
    elif isinstance(value, int | float) and not abs(value) < _LARGEST:  # NaN, too
        raise EditError(f"the value of {name!r} is no number that a field holds; give a smaller one, or a text")


def _check_text(what: str, text: str, most: int = _CHARACTERS) -> None:
    if not text.strip() or not normalise(text):
        raise EditError(f"a {what} is empty")
    if "\0" in text or any("\ud800" <= one <= "\udfff" for one in text):
        raise EditError(f"the {what} {text[:50]!r} holds half a character or a NUL; write it again")
    if len(text) > most:
        raise EditError(f"the {what} {text[:30]!r}… has {len(text)} characters, at most {most} are taken")


def _check_new(text: str, model: Model, but: str | None = None) -> None:
    key = twin_key(normalise(text))
    alike = [one for one in model.standard_questions if twin_key(normalise(one)) == key and one != but]
    if alike:
        how = "is there already" if alike[0] == text else f"is {alike[0]!r} but for case, width or white space"
        raise EditError(f"the standard question {text!r} {how}; change that one: dssm edit")


def _is_possible(edit: Edit, model: Model) -> bool:
    try:
        check_edit(edit, model)
    except EditError:  # the export of this very night has done it, or undone it
        return False
    return True


# --- the new version


def _open_live(update: Update, model: Model | None) -> tuple[Path, Model]:
    version, corpus = update.live.version, update.registry.corpus
    if version is None:
        raise NothingLive(f"nothing is live for corpus {corpus!r}: there is no version to edit; dssm run {corpus}")
    folder = update.registry.fetch(version)
    return folder, model if model and model.version == version else Model(folder)


def _make(
    update: Update, folder: Path, model: Model, edits: Sequence[Edit], overlay: Overlay, said: str
) -> VersionManifest:
    """Add an edited copy of a version; it is not live yet."""
    base = update.registry.manifest(folder.name)
    with TemporaryDirectory(prefix=".edit-", suffix=".partial", dir=update.registry.folder) as partial:
        build(folder, Path(partial), model, edits)
        recall = (base.recall_at_1, base.recall_at_10, base.test_rows)
        return update.add(Path(partial), _as_file(overlay), base.run, recall, base.test_hash, said)


def _prune(update: Update, version: Path) -> None:
    """Delete surplus versions, as a run does; a failure is a warning, since a version has gone live."""
    try:
        keep = json.loads((version / SETTINGS_FILE).read_bytes())["publish"]["keep_versions"]
        update.prune(int(keep))
    except (OSError, ValueError, KeyError, TypeError, PipelineError) as error:
        _LOGGER.info("%s: old versions stay until the next run: %s", version.parent.name, error)


def expect(version: Path, queries: int) -> Expected | None:
    """Return what the version's own measurement says of standard questions with so many queries; None: nothing."""
    bucket = next((name for name, most in _BUCKETS if queries <= most), ">50")
    try:
        found = json.loads((version / _EVALUATION).read_bytes())["by_class_size"][bucket]
        measured = Expected(recall_at_10=found["recall_at_10"]["value"], rows=bucket, test_rows=found["rows"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return measured if queries and measured.test_rows else None  # of one without queries no test row tells


def build(base: Path, out: Path, model: Model, edits: Sequence[Edit]) -> None:
    """Write an edited copy of a candidate or version into `out`, an empty folder.

    Args:
        base: its files; what is not changed is linked, an overlay is left out.
        out: where to.
        model: the same, loaded.
        edits: what is to be changed, in order; each is possible.

    Raises:
        EditError: a field cannot hold such a value, or the model knows nothing of a text.
    """
    _link_all(base, out, leave=(_CHANGED if edits else set()) | {OVERLAY_FILE, MANIFEST})
    if edits:
        arrays = read_arrays(base)
        classes = _take_apart(base, model, arrays)
        for edit in edits:
            _apply(edit, classes, model)
        _write(base, out, model, arrays, classes)


def _apply(edit: Edit, classes: dict[str, _Class], model: Model) -> None:
    if edit.action == "remove":
        del classes[edit.standard_question]
        return
    queries = [*dict.fromkeys(edit.similar_queries)]
    vectors = _encode(model, [edit.name, *queries])
    if edit.action == "add":
        if not vectors.any():
            raise EditError(
                f"nothing of {edit.name!r} and its similar queries is known to the model, so that it would never be "
                "found. Give similar queries in the words that customers use"
            )
        vector, none = _new_vector(vectors, model), vectors[:0].astype(np.float16)
        new = _Class(edit.name, edit.id or edit.name, 0, None, vector, none)
        _keep(new, queries, vectors[1:], model)
        classes[edit.name] = new
    else:
        one = classes.pop(edit.standard_question)
        if edit.text is not None and edit.text != one.text:
            one.vector = _unit(one.vector + vectors[0] - _encode(model, [one.text])[0], model)
            one.id = edit.text if one.id == one.text else one.id
            one.text = edit.text
            if not one.rows:
                _keep(one, [], vectors[:0], model)
        if queries:
            one.vector = _unit(max(one.rows, 1) * one.vector + vectors[1:].sum(axis=0), model)
            _keep(one, queries, vectors[1:], model)
        classes[one.text] = one
    classes[edit.name].payload |= edit.payload


def _new_vector(vectors: NDArray[np.float32], model: Model) -> NDArray[np.float32]:
    """Return (S, o) the vector of a new standard question from those of its text and its similar queries."""
    text: NDArray[np.float32] = vectors[0]
    queries = vectors[1:]
    if not len(queries):
        return text
    mean = _unit(queries.mean(axis=0), model)
    return _unit(np.float32(_TEXT_WEIGHT) * text + np.float32(1 - _TEXT_WEIGHT) * mean, model)


def _keep(one: _Class, queries: Sequence[str], vectors: NDArray[np.float32], model: Model) -> None:
    """Add similar queries to those that are kept; one without any keeps its own vector, as training does."""
    room = model.card.model.exemplars
    kept = one.kept if one.rows else one.kept[:0]
    texts = one.texts if one.rows else []
    one.rows += len(queries)
    one.kept = np.concatenate([kept, vectors.astype(np.float16)])[-room:] if room else kept
    one.texts = (
        [*texts, *({"text": text, "source": SOURCE, "line": None} for text in queries)][-room:] if room else texts
    )
    if not len(one.kept):
        one.kept = one.vector[None].astype(np.float16)
        one.texts = [{"text": one.text, "source": None, "line": None}]


def _encode(model: Model, texts: Sequence[str]) -> NDArray[np.float32]:
    """Return (n, S, o) vectors of unit length per tower."""
    flat: NDArray[np.float32] = np.concatenate(
        [model.vectors_of(model.encoder.read([normalise(text)])) for text in texts]
    )
    return flat.reshape(len(texts), *model.shape)


def _unit(vector: NDArray[np.float32], model: Model) -> NDArray[np.float32]:
    """Return (S, o) a sum of vectors in the form of the model's own."""
    unit: NDArray[np.float32] = model.to_unit(vector[None])[0]
    return unit


# --- its files


def _take_apart(base: Path, model: Model, arrays: dict[str, NDArray[Any]]) -> dict[str, _Class]:
    """Return all standard questions by their texts, in their order."""
    nothing = np.zeros((0, *arrays["classes"].shape[1:]), np.float16)
    starts = arrays["exemplar_starts"].tolist() if "exemplars" in arrays else [0] * (len(model.ids) + 1)
    kept = arrays.get("exemplars", nothing)
    texts = read_table(base / EXEMPLARS_FILE).to_pylist() if (base / EXEMPLARS_FILE).exists() else []
    classes = {}
    for n, (text, identity) in enumerate(zip(model.standard_questions, model.ids, strict=True)):
        span = slice(starts[n], starts[n + 1])
        classes[text] = _Class(text, identity, int(model.rows[n]), n, arrays["classes"][n], kept[span], texts[span])
    return classes


def _write(base: Path, out: Path, model: Model, arrays: dict[str, NDArray[Any]], classes: dict[str, _Class]) -> None:
    all_of = [*classes.values()]
    arrays["classes"] = np.stack([one.vector for one in all_of]).astype(np.float32)
    if "exemplars" in arrays:
        arrays["exemplars"] = np.concatenate([one.kept for one in all_of])
        arrays["exemplar_starts"] = np.cumsum([0, *(len(one.kept) for one in all_of)]).astype(np.int64)
        if (base / EXEMPLARS_FILE).exists():
            texts = [row for one in all_of for row in one.texts]
            pq.write_table(pa.Table.from_pylist(texts, EXEMPLARS), out / EXEMPLARS_FILE, compression="zstd")
    (out / "model.safetensors").write_bytes(save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))
    columns = [[one.id for one in all_of], [one.text for one in all_of], [one.rows for one in all_of]]
    pq.write_table(pa.table(columns, names=["id", "standard_question", "rows"]), out / "standard_questions.parquet")
    payload, changes = model.payload or Payload.empty(len(model.ids)), [one.payload for one in all_of]
    if model.payload or any(changes):
        payload.edited([one.origin for one in all_of], changes).write(out)
    card = json.loads((base / "model.json").read_bytes()) | {"classes": len(all_of)}
    (out / "model.json").write_text(json.dumps(card, indent=1, ensure_ascii=False), "utf-8")


def _link_all(base: Path, out: Path, leave: set[str]) -> None:
    """Give `out` links, or copies, of all files of `base` but some."""
    for file in sorted(base.rglob("*")):
        name = file.relative_to(base).as_posix()
        if file.is_dir() or name in leave:
            continue
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(file, out / name)
        except OSError:
            shutil.copyfile(file, out / name)
