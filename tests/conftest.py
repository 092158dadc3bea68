"""Fixtures shared by all tests: a toy corpus, settings that train in a second, and throw-away Prefect servers.

No test touches the developer's own ~/.prefect or DSSM_HOME: the harness brings its own database for flows
that run in this process, and `command` gives every subprocess a home of its own and one server for all.
"""

import csv
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from schemas.settings import TOWERS, CorpusSettings
from schemas.workspace import CHECKOUT
from tasks.store import Store

# standard question -> queries, as customers type them
# ruff: noqa: E501 - one class a line
TOY = {
    "如何办理退票": "怎么退票 我要退票 票不想要了能退吗 退票在哪里操作 买错票了想退掉 行程取消了退票怎么弄 退掉机票的步骤 请问可以退票不",
    "退票手续费怎么收": "退票扣多少钱 退票手续费是多少 退票要收费吗 退一张票扣百分之几 退票费怎么算的 退票会扣钱么 手续费收得太多了吧退票",
    "如何改签": "怎么改签 想换个航班时间 改签在哪办 我要改到明天的航班 机票能改期吗 改签流程 时间变了想改签 可以换早一点的航班吗",
    "行李可以带多少": "能带几公斤行李 免费行李额是多少 行李箱最重多少 托运行李限重 可以带两个箱子吗 随身行李多大 行李超重怎么办 托运能带多重",
    "怎么选座位": "想选靠窗的座位 能提前选座吗 选座怎么操作 我要坐过道 座位可以自己挑吗 在线选座在哪 换个座位行不行 两个人想坐一起",
    "如何开发票": "怎么开发票 报销要发票 发票在哪里下载 电子发票怎么弄 可以开专票吗 发票抬头写错了 行程单怎么打印 补开发票",
    "航班延误怎么赔偿": "飞机晚点赔钱吗 延误赔偿标准 航班延误了怎么办 晚点三个小时有补偿吗 延误险怎么赔 因为延误误了车谁负责 飞机延误证明怎么开",
    "如何网上值机": "怎么值机 网上值机入口 几点可以办登机牌 提前多久值机 手机上值机怎么弄 电子登机牌在哪看 值机失败了 忘了值机咋办",
    "儿童票怎么买": "小孩买票多少钱 儿童票打几折 两岁宝宝要买票吗 婴儿票怎么订 小朋友一个人能坐飞机吗 儿童没有身份证怎么买票 带娃坐飞机买什么票",
    "订单支付失败怎么办": "付款付不了 支付失败了 钱扣了没出票 银行卡付不上 付款一直转圈 支付超时订单没了吗 为什么付不了钱 扣款了订单还是未支付",
    "如何修改乘机人信息": "名字写错了怎么改 身份证号填错了 乘机人信息能改吗 护照号码输错一位 想换一个乘客 手机号填错了改一下 姓名拼音错了",
    "宠物可以托运吗": "能带狗坐飞机吗 猫怎么托运 宠物托运多少钱 小狗可以带进客舱吗 托运宠物要什么证明 宠物箱有什么要求 带猫上飞机",
}
PAIRS = [(query, question) for question, queries in TOY.items() for query in queries.split()]

# What makes a run short; everything else is as a user gets it. Written as the command line takes it, too.
FAST = {
    "model.embedding_dim": 16,
    "model.ensemble": 1,
    "training.epochs": 6,
    "training.batch_size": 16,
    "training.threads": 1,
    "negatives.epochs_drawn": 2,
    "split.test_share": 0.2,
    "publish.max_drop_vs_baseline": 0.3,  # the gates are tested where they are meant to close
    "publish.hold_causes": [],
}
# The toy is easy: by the default recipe nothing is left to advise.
WEAKER = {"text__min_texts": 2, "loss__contrast": 0}


RANDOM_TOWERS = [name for name, kind in TOWERS.items() if not kind.has_encoder]  # a new one is tested like the others

_PREFECT_HOME = pytest.StashKey[str]()


def pytest_configure(config: pytest.Config) -> None:
    """Give Prefect and the hub's library homes of their own before anything imports them: they read them at import.

    No test asks the hub; what is in the cache is what a test laid there.
    """
    from flows.environment import set_environment

    for name in [name for name in os.environ if name.startswith(("PREFECT_", "DSSM_"))]:
        del os.environ[name]
    config.stash[_PREFECT_HOME] = os.environ["PREFECT_HOME"] = tempfile.mkdtemp(prefix="dssm-tests-")
    os.environ |= {"HF_HOME": f"{os.environ['PREFECT_HOME']}/huggingface", "HF_HUB_OFFLINE": "1"}
    set_environment()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Delete that home."""
    shutil.rmtree(config.stash[_PREFECT_HOME], ignore_errors=True)


def write_table(file: Path, pairs: Sequence[tuple[str, str]], header: Sequence[str] = ("query", "standard_question")):
    """Write a CSV in UTF-8 and return its path."""
    with file.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *pairs])
    return file


def make_settings(source: Path, name: str = "toy", **changes: Any) -> CorpusSettings:
    """Return fast settings with `changes`, keys as `--set` has them but with __ for the dot."""
    from flows.corpora import merge

    raw: dict[str, Any] = {"name": name, "source": {"path": str(source)}}
    for key, value in {**FAST, **{key.replace("__", "."): value for key, value in changes.items()}}.items():
        nested = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        raw = merge(raw, nested)
    return CorpusSettings.model_validate(raw, context={"fill_defaults": True})


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A throw-away Prefect server for flows that run in this process; starting it costs 10-40 s."""
    from prefect.testing.utilities import prefect_test_harness

    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty DSSM_HOME."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("DSSM_HOME", str(folder))
    return folder


@pytest.fixture(scope="session")
def toy_csv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy corpus, ordered by standard question as the article's corpora were."""
    return write_table(tmp_path_factory.mktemp("toy") / "toy.csv", PAIRS)


@pytest.fixture(scope="session")
def candidate(toy_csv: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real trained candidate."""
    return train_toy(toy_csv, tmp_path_factory.mktemp("candidate"))


def train_toy(source: Path, folder: Path) -> Path:
    """Return a candidate trained on a source, made by the pure modules alone."""
    from tasks.ingest.corpus import ingest_corpus
    from tasks.prepare.corpus import prepare_corpus
    from tasks.train.training import train_candidate

    settings = make_settings(source)
    ingested, prepared, trained, partial = (folder / name for name in ("ingest", "prepare", "train", "partial"))
    for step in (ingested, prepared, trained, partial):
        step.mkdir()
    ingest_corpus(settings.source, ingested, folder, settings.seed)
    prepare_corpus(ingested, prepared, settings)
    train_candidate(prepared, trained, partial, settings, lambda epoch, most: None)
    return trained / "candidate"


@dataclass(frozen=True)
class Ended:
    """How a subprocess ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Command:
    """`dssm` as another program calls it: a subprocess, with a DSSM_HOME and a working folder of its own."""

    home: Path
    folder: Path
    environment: Mapping[str, str]

    def __call__(self, *words: str | Path, stdin: str | None = None, **environment: str) -> Ended:
        """Run `dssm` with `words` to its end; None in the environment removes a variable."""
        done = subprocess.run(
            [*DSSM, *map(str, words)],
            cwd=self.folder,
            env={**self.environment, **environment},
            capture_output=True,
            input=None if stdin is None else stdin.encode(),
            timeout=300,
        )
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(self, *words: str | Path) -> subprocess.Popen[bytes]:
        """Start `dssm` without waiting."""
        return subprocess.Popen(
            [*DSSM, *map(str, words)],
            cwd=self.folder,
            env=dict(self.environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


DSSM = [sys.executable, "-m", "flows.cli"]


def fast_words(**changes: Any) -> list[str]:
    """Return FAST with `changes` as words of the command line."""
    settings = {**FAST, **{key.replace("__", "."): value for key, value in changes.items()}}
    return [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]


@pytest.fixture(scope="session")
def server_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real `prefect server` on a free port: with one up, a subprocess need not start its own (10-16 s each)."""
    folder = tmp_path_factory.mktemp("server")
    port = free_port()
    environment = clean_environment(folder)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/api/health", server, folder / "log")
        yield f"http://127.0.0.1:{port}/api"
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """A real S3 server on a free port; yields its address."""
    port = free_port()
    with (folder / "s3.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "tests.s3_server", str(port)], cwd=CHECKOUT, stdout=log, stderr=log
        )
    try:
        _wait_for(f"http://127.0.0.1:{port}/moto-api/", server, folder / "s3.log")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.kill()
        server.wait()


@pytest.fixture(scope="session")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One S3 server for all tests, with the bucket "shared"."""
    with s3_server(tmp_path_factory.mktemp("s3")) as url:
        urllib.request.urlopen(urllib.request.Request(f"{url}/shared", method="PUT"))
        yield url


@pytest.fixture
def store(s3_url: str, home: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """A store of this test alone, set as a machine has it set; DSSM_HOME is an empty disk."""
    return set_store(s3_url, monkeypatch)


def set_store(url: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """Set the variables of a machine, and return the store they name."""
    address = f"s3://shared/{uuid.uuid4().hex}"
    variables = {
        "DSSM_STORE": address,
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "tests",
        "AWS_SECRET_ACCESS_KEY": "tests",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",  # no machine of Amazon's is asked for credentials
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return Store(address)


def clean_environment(folder: Path) -> dict[str, str]:
    """Return this process's environment without its Prefect and DSSM settings, with a Prefect home in `folder`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("PREFECT_", "DSSM_"))}
    quiet = {"PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1"}
    return kept | quiet | {"PREFECT_HOME": str(folder / "prefect"), "PYTHONPATH": str(CHECKOUT)}


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path, seconds: float = 120) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and server.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"no server at {url}:\n{log.read_text()[-2000:]}")


@pytest.fixture
def command(tmp_path: Path, server_url: str) -> Command:
    """`dssm` with an empty DSSM_HOME."""
    return make_command(tmp_path, server_url)


def make_command(folder: Path, server_url: str) -> Command:
    """Return `dssm` with a DSSM_HOME and a working folder below `folder`."""
    home, work = folder / "home", folder / "work"
    home.mkdir()
    work.mkdir()
    return Command(home, work, clean_environment(folder) | {"DSSM_HOME": str(home), "PREFECT_API_URL": server_url})


@contextmanager
def said_by_somebody_else() -> Iterator[tuple[Path, Callable[[Callable[[], str]], str]]]:
    """Lend a folder, and what runs a function as a user who is not root, in a fork, and returns what it says."""

    def ask(work: Callable[[], str]) -> str:
        read, write = os.pipe()
        if not (child := os.fork()):
            said = "it failed"
            try:
                if os.geteuid() == 0:
                    os.setgroups([])
                    os.setresuid(54321, 54321, 54321)
                said = work()
            except BaseException as error:
                said = f"{type(error).__name__}: {error}"
            finally:
                os.write(write, said.encode()[:60_000])
                os._exit(0)
        os.close(write)
        with os.fdopen(read, "rb") as stream:
            said = stream.read().decode()
        os.waitpid(child, 0)
        return said

    with tempfile.TemporaryDirectory(prefix="dssm-open-") as name:  # nobody else may enter that of pytest
        os.chmod(name, 0o755)
        yield Path(name), ask
