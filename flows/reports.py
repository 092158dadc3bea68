"""Reports in the Prefect UI: a server of ours serves them, and every run leaves an artifact that leads to its own."""

import base64
import csv
import re
import secrets
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

import httpx
from fastapi import FastAPI
from prefect.artifacts import create_markdown_artifact
from prefect.settings import get_current_settings
from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from schemas.display import as_markdown
from schemas.run import RunResult
from schemas.workspace import REPORT_FILE, artifact_key, default_home

_FILES = re.compile(r"[a-z][a-z_-]*\.(html|csv|xlsx)")  # the pages of a run, and the lists that they lead to
_NAMES = re.compile(r"[a-z0-9][a-z0-9_-]*")  # of a corpus, and of a run
_SHOWN = 20  # failing queries in the artifact
_SAFE = {  # the page holds texts of others, at the address of the UI
    "Content-Security-Policy": "sandbox allow-downloads; default-src 'none'; style-src 'unsafe-inline'; img-src data:",
    "X-Content-Type-Options": "nosniff",
    "X-Dssm-Report": "1",  # the UI answers any address with its own page
}


def serve_reports(app: FastAPI) -> None:
    """Let a Prefect server give the reports below DSSM_HOME to whoever may ask its API: /reports/CORPUS/RUN/FILE."""
    route = Route("/reports/{corpus}/{run}/{file}", _answer, methods=["GET", "HEAD"])
    app.router.routes.insert(0, route)  # before the UI, which takes every address


async def _answer(request: Request) -> Response:
    if not _may_ask(request):
        return PlainTextResponse("a password is needed", 401, {"WWW-Authenticate": 'Basic realm="dssm"'})
    corpus, run, name = (request.path_params[part] for part in ("corpus", "run", "file"))
    sound = _NAMES.fullmatch(corpus) and _NAMES.fullmatch(run) and _FILES.fullmatch(name)
    file = default_home() / "runs" / corpus / run / name
    if not sound or not file.is_file():
        return PlainTextResponse("no such report: old runs are deleted (publish.keep_runs)", 404)
    return FileResponse(file, headers=_SAFE)


def _may_ask(request: Request) -> bool:
    password = get_current_settings().server.api.auth_string
    if password is None:
        return True
    wanted = base64.b64encode(password.get_secret_value().encode()).decode()
    return secrets.compare_digest(request.headers.get("Authorization", "").encode(), f"Basic {wanted}".encode())


def show_report(result: RunResult) -> None:
    """Leave what came of a run as an artifact, whose history shows a corpus's figures night by night."""
    recall = "" if result.recall_at_10 is None else f", recall@10 {result.recall_at_10:.3f}"
    summary = f"{result.status.replace('_', ' ')}{recall}"
    lines = [f"# {result.corpus}: {summary}", *link_report(result)]
    lines += [as_markdown(line) for line in (result.error or "").splitlines()]
    lines += [f"- {as_markdown(reason)}" for reason in result.reasons]
    create_markdown_artifact(
        key=artifact_key(result.corpus, "report"),
        markdown="\n\n".join([*lines, *_list_failing(result)]),
        description=f"{summary} ({result.run})",
    )


def link_report(result: RunResult) -> list[str]:
    """Return a link to the report if the server serves it, else where it lies."""
    if result.report is None:
        return []
    settings = get_current_settings()
    base, auth = (settings.api.url or "").removesuffix("/api"), settings.api.auth_string
    address = f"{base}/reports/{result.corpus}/{result.run}/{REPORT_FILE}"
    user, _, password = auth.get_secret_value().partition(":") if auth else ("", "", "")
    try:
        served = "X-Dssm-Report" in httpx.head(address, auth=(user, password) if auth else None, timeout=5).headers
    except httpx.HTTPError:
        served = False
    if served:
        return [f"[Open the report]({urlsplit(address).path})"]  # at whatever address the UI is open
    return [f"The report lies in `{result.report}`; a server started by `dssm serve` or `dssm server` shows it here."]


def _list_failing(result: RunResult) -> list[str]:
    """Return the queries that fail worst as a table, from the list beside the report."""
    file = Path(result.report or "").with_name("failing.csv")
    if not file.exists():
        return []
    with file.open(encoding="utf-8-sig", newline="") as stream:
        head, *rows = islice(csv.reader(stream), _SHOWN + 1)
    where = [f"{Path(row[0]).name}:{row[1]}" for row in rows]
    shown = [[*map(as_markdown, row[2:]), as_markdown(place)] for row, place in zip(rows, where, strict=True)]
    lines = [[*head[2:], head[0]], ["---"] * (len(head) - 1), *shown]
    return ["## Failing queries", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
