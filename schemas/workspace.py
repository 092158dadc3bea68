"""Where files lie. Everything is below one root, DSSM_HOME. It is absolute, since workers start in any folder."""

import hashlib
import os
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict

from schemas.addresses import is_remote, redact
from schemas.errors import MachineFault, SettingsError

STEPS = ("ingest", "golden", "foreign", "validate", "drift", "prepare", "train", "evaluate", "publish")
#: What a run leaves beside its steps.
RESULT_FILE, SETTINGS_FILE, COMPARISON_FILE, REPORT_FILE = "run.json", "settings.json", "comparison.json", "report.html"
#: Of whatever is at work in its folder: dssm serve in DSSM_HOME, a run in runs/<corpus>.
HEARTBEAT_FILE = "heartbeat.json"
HEALTH_FILE, DIAGNOSIS_FILE = "health.html", "diagnosis.json"
CHECKOUT = Path(__file__).resolve().parents[1]


def sort_runs(names: Iterable[str]) -> list[str]:
    """Return the ids of runs, the oldest first.

    Their names begin with their time. One of a day after tomorrow was given while the clock was ahead: it was not
    made after all others, and counts as the oldest.
    """
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y%m%d}"
    return sorted(names, key=lambda name: (not (name[:8].isdigit() and name[:8] > tomorrow), name))


def default_home() -> Path:
    """Return the root of all files: $DSSM_HOME, else `data/` of the checkout.

    Raises:
        SettingsError: DSSM_HOME is empty, a file, or in the home of somebody who has none.
    """
    if (given := os.environ.get("DSSM_HOME")) is None:
        return CHECKOUT / "data"
    plain = given.strip().strip("'\"").strip()  # as an env file has it, where no shell takes the quotes away
    if not plain:
        raise SettingsError("DSSM_HOME is set and empty; unset it, or set it to the folder of corpora, runs and models")
    if is_remote(plain) and "://" in plain:
        raise SettingsError(
            f"DSSM_HOME = {redact(given)} is an address; set it to a folder of this machine, and DSSM_STORE to a bucket"
        )
    try:
        home = Path(plain).expanduser()
        lost = plain.startswith("~") and not Path(Path(plain).parts[0]).expanduser().is_dir()
    except RuntimeError:  # there is no such user
        lost = True
    if lost:
        raise SettingsError(f"DSSM_HOME = {given}: {Path(plain).parts[0]} is nobody's home here; write the whole path")
    try:
        plain.encode()
    except UnicodeEncodeError as error:
        raise SettingsError(f"DSSM_HOME = {os.fsencode(plain)!r} is not UTF-8; use another folder") from error
    if any(part.startswith("$") for part in home.parts):  # as an env file has it
        raise SettingsError(f"DSSM_HOME = {given}: no shell has replaced what begins with $; write the whole path")
    try:
        if home.exists() and not home.is_dir():
            raise SettingsError(f"DSSM_HOME = {given} is a file; set it to the folder of corpora, runs and models")
        return home.resolve()
    except (OSError, RuntimeError) as error:  # a name that is too long, a loop of links
        raise SettingsError(f"DSSM_HOME = {given} can be no folder: {error}; use another one") from error


def make_home() -> Path:
    """Return the root of all files, made if need be.

    Raises:
        SettingsError: as `default_home`.
        MachineFault: it cannot be made here.
    """
    home = default_home()
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MachineFault(f"DSSM_HOME = {home} cannot be made: {error.strerror}; use another folder") from error
    if not os.access(home, os.W_OK):
        raise MachineFault(f"DSSM_HOME = {home} may not be written to: change its permissions, or use another folder")
    return home


def store_address() -> str | None:
    """Return the address of the store that workers share instead of a disk, $DSSM_STORE; None: there is none.

    Raises:
        SettingsError: it holds a secret, which deployments and names of folders would repeat.
    """
    address = (os.environ.get("DSSM_STORE") or "").strip().rstrip("/") or None
    if address and redact(address) != address:
        raise SettingsError(
            f"DSSM_STORE={address} holds a secret: give s3://bucket/prefix, and the key as AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY"
        )
    return address


def store_server() -> str | None:
    """Return the address of the server of the store; None: Amazon's.

    Raises:
        SettingsError: it is none.
    """
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"):
        if address := os.environ.get(name):
            if not re.fullmatch(r"https?://[^\s/]+\S*", address):
                raise SettingsError(f"{name} is no address of a server; write it as https://HOST:PORT, or unset it")
            return address
    return None


def models_root(home: Path) -> Path:
    """Return the folder of all models below `home`. With a store, it is a copy of that store's models.

    Each store has its own copy, so that models published elsewhere are never mistaken for its own.
    """
    if (address := store_address()) is None:
        return home / "models"
    digest = hashlib.sha256(f"{store_server() or ''} {address}".encode()).hexdigest()[:8]
    return home / "mirror" / f"{re.sub('[^A-Za-z0-9]+', '-', address)}-{digest}" / "models"


class Workspace(BaseModel):
    """The folders of one run of one corpus. Constructing one touches nothing on disk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    home: Path
    corpus: str
    run: str

    @classmethod
    def of(cls, corpus: str, run: str, home: Path | None = None) -> Self:
        """Return the workspace of a run, below `home` or the default root."""
        return cls(home=(home or default_home()).resolve(), corpus=corpus, run=run)

    @property
    def runs(self) -> Path:
        """All runs of the corpus."""
        return self.home / "runs" / self.corpus

    @property
    def root(self) -> Path:
        """This run."""
        return self.runs / self.run

    @property
    def partial(self) -> Path:
        """Unfinished work, named by key, so that the next run can continue it."""
        return self.home / "partial" / self.corpus

    @property
    def encoders(self) -> Path:
        """What encoders were made into, and their vectors of texts: for all corpora; may be deleted at any time."""
        return self.home / "cache"

    @property
    def models(self) -> Path:
        """All versions of the corpus, and live.json."""
        return models_root(self.home) / self.corpus

    def last_step(self) -> str:
        """Return the step that was finished last; "" before the first."""
        return next((step for step in reversed(STEPS) if (self.root / step).is_dir()), "")

    def step(self, name: str) -> Path:
        """Return the folder of one step of this run; ValueError for a step that does not exist."""
        if name not in STEPS:
            raise ValueError(f"no step {name!r}; the steps are {', '.join(STEPS)}")
        return self.root / name


def artifact_key(corpus: str, what: str) -> str:
    """Return a stable Prefect artifact key (lower case, digits, dashes): each artifact has a history per corpus."""
    return f"{corpus.replace('_', '-')}-{what}"
