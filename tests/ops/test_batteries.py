"""The images of the Dockerfile where a container engine is there, else the same steps in a clean environment."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.conftest import CHECKOUT, clean_environment
from tests.flows.api.conftest import publish_as

pytestmark = pytest.mark.ops
MOST_MEGABYTES = 280  # of the serving environment, without what nothing loads
_PATIENCE = 120  # seconds


def has_engine():
    """Whether a container engine answers."""
    docker = shutil.which("docker")
    return bool(docker) and subprocess.run([docker, "ps"], capture_output=True, timeout=60, check=False).returncode == 0


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A virtual environment as the stage build-service of the Dockerfile makes it."""
    folder = tmp_path_factory.mktemp("serving")
    source = folder / "checkout"
    shutil.copytree(
        CHECKOUT, source, ignore=shutil.ignore_patterns(".*", "tests", "docs", "__pycache__", "*.egg-info", "data")
    )
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    (step,) = re.findall(r"RUN (pip install .*/serving.*)$", (CHECKOUT / "Dockerfile").read_text("utf-8"), re.M)
    shell = f"PATH={folder}/venv/bin:$PATH; unset EXTRAS; {step}"
    subprocess.run(["sh", "-ec", shell], cwd=source, check=True, timeout=900)
    (step,) = re.findall(r"^RUN (cd /opt/venv.*(?:\n +&& rm .*)+)$", (CHECKOUT / "Dockerfile").read_text("utf-8"), re.M)
    shell = step.replace("/opt/venv", str(folder / "venv")).replace("\\\n", " ")
    subprocess.run(["sh", "-ec", shell], check=True, timeout=60)
    return folder / "venv"


@pytest.fixture
def home(tmp_path, candidate):
    """A DSSM_HOME with one live corpus."""
    folder = tmp_path / "home"
    publish_as(folder, "bank", candidate)
    return folder


def run(environment, home, *words):
    return subprocess.run(
        [environment / "bin" / words[0], *words[1:]],
        env=clean_environment(home.parent) | {"DSSM_HOME": str(home), "PYTHONPATH": ""},
        cwd=home.parent,
        capture_output=True,
        text=True,
        timeout=_PATIENCE,
        check=False,
    )


@pytest.mark.skipif(has_engine(), reason="the images themselves are tested")
def test_the_serving_environment_answers_without_torch_and_prefect(environment, home):
    """A model that the pipeline has made, through the command, from Python and over HTTP."""
    installed = {path.name for path in environment.glob("lib/python3*/site-packages/*")}
    assert not {"torch", "prefect", "pandas", "great_expectations"} & installed
    size = sum(path.stat().st_size for path in environment.rglob("*") if path.is_file() and not path.is_symlink())
    assert size < MOST_MEGABYTES * 1e6, size
    asked = run(environment, home, "dssm", "query", "bank", "hello", "--json")
    assert asked.returncode == 0, asked.stderr
    assert json.loads(asked.stdout)["results"]
    assert run(environment, home, "dssm", "--version").stdout == "dssm, version 0.1.0\n"
    code = "from tasks.retrieval import Retriever; print(Retriever('home/models/bank').search(['hello'], top=1))"
    python = run(environment, home, "python", "-c", code)
    assert python.returncode == 0, python.stderr
    (home.parent / "rows.csv").write_text("query,label\nmoney back,Refund\n")
    train = run(environment, home, "dssm", "run", "bank", "--source", "rows.csv")
    assert (train.returncode, "is not installed here" in train.stderr, "Traceback" in train.stderr) == (2, True, False)
    _ask_over_http([environment / "bin" / "dssm"], home)


def _ask_over_http(command, home: Path):
    given = clean_environment(home.parent) | {"DSSM_HOME": str(home), "PYTHONPATH": ""}
    process = subprocess.Popen([*command, "api", "--port", "0"], env=given, stdout=subprocess.PIPE, text=True)
    try:
        url = process.stdout.readline().split()[1].rstrip("/;")
        assert _wait(f"{url}/readyz") == 200
        body = json.dumps({"query": "hello", "top": 1}).encode()
        request = urllib.request.Request(f"{url}/v1/bank/search", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            assert json.load(answer)["results"]
    finally:
        process.terminate()
        assert process.wait(60) == 0


def _wait(address):
    """Return the status of an address once it is 200, or after a while."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return answer.status
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


@pytest.mark.skipif(not has_engine(), reason="no container engine answers")
def test_the_service_image_answers(home):
    """Built, run by nobody's root over a home that the pipeline has filled, and asked."""
    subprocess.run(["docker", "build", "--target", "service", "--tag", "dssm-service-test", CHECKOUT], check=True)
    os.chmod(home, 0o755)
    words = ["docker", "run", "--rm", "--detach", "--read-only", "--tmpfs", "/tmp", "--publish", "127.0.0.1::8000"]
    words += ["--volume", f"{home}:/var/lib/dssm:ro", "dssm-service-test"]
    container = subprocess.run(words, check=True, capture_output=True, text=True).stdout.strip()
    try:
        ports = subprocess.run(["docker", "port", container, "8000"], check=True, capture_output=True, text=True).stdout
        assert _wait(f"http://{ports.split()[0]}/readyz") == 200
        user = subprocess.run(["docker", "exec", container, "id", "-u"], check=True, capture_output=True, text=True)
        assert user.stdout.strip() == "10001"
    finally:
        subprocess.run(["docker", "stop", container], check=True, capture_output=True)
