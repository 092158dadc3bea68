"""The Prefect server on PostgreSQL, a throw-away cluster of this machine."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import free_port
from tests.ops.conftest import Machine

_DEBIAN = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name))
_SEARCH = os.pathsep.join([os.environ.get("PATH", ""), *map(str, reversed(_DEBIAN))])
INITDB, POSTGRES, PSQL = (shutil.which(name, path=_SEARCH) for name in ("initdb", "postgres", "psql"))

pytestmark = pytest.mark.skipif(
    not (INITDB and POSTGRES and PSQL), reason="no PostgreSQL here; Debian: apt-get install postgresql"
)


class Cluster:
    """A PostgreSQL with one database, prefect, owned by a user who is no superuser."""

    def __init__(self, port: int) -> None:
        self.port = port

    @property
    def url(self) -> str:
        """The address, as Prefect wants it."""
        return f"postgresql+asyncpg://prefect:secret@127.0.0.1:{self.port}/prefect"

    def ask(self, statement: str, database: str = "prefect") -> str:
        """Return what a statement of the superuser gives."""
        words = [str(PSQL), "-h", "127.0.0.1", "-p", str(self.port), "-U", "root", "-d", database, "-Atc", statement]
        return subprocess.run(words, check=True, capture_output=True, text=True, timeout=60).stdout.strip()


@pytest.fixture
def cluster(machine: Machine) -> Iterator[Cluster]:
    """Started as a user who is not root: PostgreSQL refuses root."""
    folder = Path(tempfile.mkdtemp(prefix="dssm-postgresql-"))  # pytest's own folder is closed to that user
    who = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
    if who:
        shutil.chown(folder, "nobody", "nogroup")
    found = Cluster(free_port())
    words = [str(INITDB), "-D", str(folder / "data"), "-U", "root", "--auth", "trust", "-E", "UTF8", "--no-sync"]
    subprocess.run(words, check=True, cwd=folder, capture_output=True, timeout=120, **who)
    words = [str(POSTGRES), "-D", str(folder / "data"), "-p", str(found.port), "-k", str(folder)]
    with (machine.folder / "postgresql.log").open("wb") as log:
        server = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log, **who)
    try:
        machine.wait(lambda: is_up(found), server)
        found.ask("CREATE ROLE prefect LOGIN PASSWORD 'secret'", "postgres")
        found.ask("CREATE DATABASE prefect OWNER prefect", "postgres")
        yield found
    finally:
        server.terminate()
        server.wait(60)
        shutil.rmtree(folder)


def is_up(cluster: Cluster) -> bool:
    try:
        return cluster.ask("SELECT 1", "postgres") == "1"
    except subprocess.CalledProcessError:
        return False


def test_a_corpus_runs_against_postgresql(machine, cluster):
    """As docs/production.md says: one variable; the extension pg_trgm is made by the owner of the database."""
    machine.write_toml("bank")
    machine.environment["PREFECT_SERVER_DATABASE_CONNECTION_URL"] = cluster.url
    with machine.serving():
        assert machine.ended(machine.run_now("train-corpus/bank")).state_name == "Published"

        assert cluster.ask("SELECT state_name FROM flow_run WHERE state_type = 'COMPLETED'") == "Published"
        assert "pg_trgm" in cluster.ask("SELECT string_agg(extname, ' ') FROM pg_extension")
        kept = cluster.ask("SELECT string_agg(key, ' ' ORDER BY key) FROM artifact")
        assert kept == "bank-gates bank-health bank-recall bank-report bank-training bank-validation"
    assert not list(machine.folder.rglob("prefect.db")), "nothing went to SQLite"
