"""The shape of the code: who may import whom, and what importing costs."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from schemas.workspace import CHECKOUT, HEARTBEAT_FILE, STEPS

OURS = ("schemas", "tasks", "flows")
ROOMS = ("retrieval", *STEPS[:-1], "doctor", STEPS[-1], "study")  # each knows itself and those before it
HEAVY = ("torch", "transformers", "prefect", "great_expectations", "pandas", "pyarrow", "scipy", "jieba", "matplotlib")
#: What a module that calls itself pure may not import, and the functions it may not call.
INPUT_AND_OUTPUT = (
    *("os", "io", "pathlib", "shutil", "tempfile", "subprocess", "socket", "urllib", "logging", "fsspec", "openpyxl"),
    *("pyarrow.parquet", "pyarrow.csv", "pyarrow.json", "pyarrow.dataset", "pyarrow.fs", "safetensors", "importlib"),
)
READS_OR_WRITES = {"open", "print", "input", "np.load", "np.save", "np.memmap", "load_npz", "save_npz"}
FILES = sorted(file for package in OURS for file in (CHECKOUT / package).rglob("*.py"))


def name_of(file: Path) -> str:
    """Return the dotted name of a module."""
    return ".".join(file.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(file: Path, for_types: bool = True) -> Iterator[str]:
    """Yield the dotted name of everything a file imports, at its top or inside its functions, or for types alone."""
    for node in walk(ast.parse(file.read_text("utf-8")), for_types):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def walk(tree: ast.AST, for_types: bool) -> Iterator[ast.AST]:
    """Yield all nodes of a tree; without `for_types`, none of a block that only a type checker reads."""
    for node in ast.iter_child_nodes(tree):
        if for_types or not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"):
            yield node
            yield from walk(node, for_types)


def strings_of(file: Path) -> set[str]:
    """Return every string of a file that is no part of an f-string."""
    nodes = ast.walk(ast.parse(file.read_text("utf-8")))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def room_of(name: str) -> str | None:
    """Return the room of a module of tasks; None for what all rooms share, such as tasks.steps."""
    parts = name.split(".")
    return parts[1] if parts[0] == "tasks" and len(parts) > 1 and parts[1] in ROOMS else None


def is_task(name: str) -> bool:
    """Say whether a module is the Prefect task of a room, tasks/<room>/task.py."""
    return room_of(name) is not None and name.split(".")[2:3] == ["task"]


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_imports_follow_the_corridor(file):
    """Flows → tasks/*/task.py → pure modules → schemas, and a room knows only the rooms before it."""
    name = name_of(file)
    room = room_of(name)
    for used in imports_of(file):
        package = used.split(".")[0]
        if package not in OURS:
            assert package != "prefect" or name.startswith("flows.") or is_task(name), f"{name} imports {used}"
            continue
        assert OURS.index(package) <= OURS.index(name.split(".")[0]), f"{name} imports {used}: that leads back"
        assert not is_task(used) or name.startswith("flows."), f"{name} imports the task {used}"
        if (used_room := room_of(used)) is not None:
            assert name.startswith("flows.") or room is not None, f"{name} is shared by all rooms, but imports {used}"
            if room:
                assert ROOMS.index(used_room) <= ROOMS.index(room), f"{name} imports the later room {used}"


def test_no_modules_import_each_other_in_a_circle():
    """Imports inside functions count, too; those that only a type checker reads run nothing."""
    modules = {name_of(file) for file in FILES}

    def module_of(used: str) -> str | None:
        return used if used in modules else module_of(used.rpartition(".")[0]) if "." in used else None

    graph = {
        name_of(file): {module for used in imports_of(file, for_types=False) if (module := module_of(used))}
        - {name_of(file)}
        for file in FILES
    }

    assert sum(map(len, graph.values())) > len(modules), "else nothing was found to import"
    assert list(TopologicalSorter(graph).static_order())


def test_a_file_that_steps_hand_over_is_named_once():
    """By its property in schemas.outputs. A rename there breaks the type checker; one of a string breaks a night."""
    outputs = CHECKOUT / "schemas" / "outputs.py"
    names = {text for text in strings_of(outputs) if Path(text).suffix in {".parquet", ".json"} and "*" not in text}
    found = {
        f"{name_of(file)}: {text}"
        for file in FILES
        if file != outputs and room_of(name_of(file)) != "retrieval"  # files of a model, some of the same name
        for text in strings_of(file) & names
    }

    assert len(names) > 15
    assert not found


def is_called_pure(file: Path) -> bool:
    """Say whether a module's docstring promises that it reads and writes nothing."""
    return re.search(r"\bPure\b", ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "") is not None


@pytest.mark.parametrize("file", [file for file in FILES if is_called_pure(file)], ids=name_of)
def test_a_module_that_calls_itself_pure_reads_and_writes_nothing(file):
    """Neither files nor network, log nor terminal: values in, values out."""
    nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
    called = {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}

    assert not [
        used for used in imports_of(file) if f"{used}.".startswith(tuple(f"{name}." for name in INPUT_AND_OUTPUT))
    ]
    assert not called & READS_OR_WRITES


@pytest.mark.parametrize("file", FILES, ids=name_of)
def test_nothing_is_pickled(file):
    """A model is read by other programs, and a pickle runs whatever is in it."""
    used = [name.split(".")[0] for name in imports_of(file)]
    assert not {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"} & set(used)
    calls = [node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)]
    called = [ast.unparse(call.func) for call in calls]
    assert not {"torch.load", "torch.save", "pd.read_pickle"} & set(called)
    assert not [call for call in calls if any(word.arg == "allow_pickle" for word in call.keywords)]


def test_no_module_is_a_drawer_for_everything():
    """A module is named for what is in it."""
    assert not {"utils", "helpers", "common", "misc"} & {file.stem for file in FILES}


@pytest.mark.slow
def test_importing_every_module_leaves_no_file(tmp_path):
    """No directories, no databases, no threads: a worker imports what it does not run."""
    code = f"""
import importlib, threading
for name in {[name_of(file) for file in FILES]!r}:
    importlib.import_module(name)
assert threading.active_count() == 1, threading.enumerate()
"""
    home, work = tmp_path / "home", tmp_path / "work"
    home.mkdir()
    work.mkdir()
    run_python(code, work, home)
    assert not list(work.iterdir())
    assert not list(home.rglob("*"))


@pytest.mark.parametrize(
    "words", [["--help"], ["run", "--help"], ["query", "--help"], ["models", "nosuch"], ["api", "nosuch"]]
)
def test_light_commands_import_nothing_heavy(words, tmp_path):
    """`dssm --help` answers in a blink."""
    code = f"""
import sys
import flows.cli
try:
    flows.cli.main({words!r})
except SystemExit:
    pass
heavy = sorted(set({HEAVY!r}) & set(sys.modules))
assert not heavy, heavy
"""
    run_python(code, tmp_path, tmp_path / "home")


def test_answering_imports_neither_prefect_nor_torch(tmp_path):
    """A bot that embeds the retriever pays for numpy, not for a scheduler; nor does what explains and edits."""
    code = """
import sys
import tasks.retrieval.retriever, tasks.retrieval.explain, tasks.retrieval.edits, tasks.retrieval.corpora
heavy = sorted({"torch", "prefect", "great_expectations", "pandas", "matplotlib", "scipy"} & set(sys.modules))
assert not heavy, heavy
"""
    run_python(code, tmp_path, tmp_path / "home")


def test_an_unchanged_corpus_pays_for_no_torch(tmp_path):
    """Nor does anything else that only looks what there is to do."""
    code = "import sys, flows.train_corpus, flows.train_all; assert 'torch' not in sys.modules"
    run_python(code, tmp_path, tmp_path / "home")


def run_python(code: str, folder: Path, home: Path) -> None:
    """Run code in a fresh interpreter whose every home is `home`."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": str(CHECKOUT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(home),
        "DSSM_HOME": str(home / "dssm"),
        "PREFECT_HOME": str(folder.parent / "prefect"),  # Prefect and matplotlib keep files at import; we do not
        "MPLCONFIGDIR": str(folder.parent / "matplotlib"),
        "DO_NOT_TRACK": "1",
    }
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


def test_git_ignores_what_runs_write_and_nothing_that_the_project_ships():
    """`git add .` must not commit models, corrections or customers' words: whatever is new below data/ is a run's."""
    ours = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, check=True).stdout
    written = ["cache/x", "corrections/bank.jsonl", ".serve.lock", HEARTBEAT_FILE, "models/bank/live.json", "mirror/x"]

    asked = "\n".join([*(f"data/{name}" for name in written), *ours.splitlines(), "data/corpora/new.toml"])
    ignored = ["git", "-c", "core.quotePath=false", "check-ignore", "--no-index", "--stdin"]
    found = subprocess.run(ignored, cwd=CHECKOUT, input=asked, capture_output=True, text=True, check=False).stdout
    assert found.split("\n")[:-1] == [f"data/{name}" for name in written]
