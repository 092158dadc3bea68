"""The Retriever in a program that has a tasks.py, a schemas.py and a flows.py of its own."""

import os
import subprocess
import sys
import tomllib

from schemas.workspace import CHECKOUT
from tests.tasks.conftest import publish

APP = """
import flows, pickle, schemas, sys, tasks
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from dssm_retrieval import NothingLive, Retriever

if __name__ == "__main__":
    assert (tasks.NAME, schemas.NAME, flows.NAME) == ("tasks", "schemas", "flows")
    try:
        Retriever.live("nothing")
    except NothingLive as error:
        print(error)
    toy = Retriever.live("toy")
    found = toy.search(["怎么退票"], 1)
    assert pickle.loads(pickle.dumps(toy)).search(["怎么退票"], 1) == found
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        assert pool.submit(toy.search, ["怎么退票"], 1).result() == found
    assert not {"prefect", "torch"} & sys.modules.keys()
    assert not [name for name in sys.modules if name.startswith(("tasks.", "schemas.", "flows."))]
    print(found[0][0].standard_question)
"""


def test_a_program_with_modules_of_our_names_asks_under_a_name_of_its_own(registry, candidate, tmp_path):
    """What is caught, pickled and spawned there is of the same source, and nothing of its own is replaced."""
    publish(registry, candidate)
    app = tmp_path / "app"
    app.mkdir()
    for name in ("tasks", "schemas", "flows"):
        (app / f"{name}.py").write_text(f"NAME = {name!r}")
    (app / "bot.py").write_text(APP, "utf-8")
    roots = tomllib.loads((CHECKOUT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"]["find"]
    (where,) = (CHECKOUT / root for root in roots["where"] if root != ".")
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    environment |= {"PYTHONPATH": str(where), "DSSM_HOME": str(tmp_path), "PYTHONIOENCODING": "utf-8"}
    done = subprocess.run(
        [sys.executable, "bot.py"], cwd=app, env=environment, capture_output=True, encoding="utf-8", timeout=120
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.splitlines()
    assert first.startswith("nothing is live for corpus 'nothing'")
    assert second == "如何办理退票"
