"""Reports that a Prefect server of ours serves."""

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from prefect.settings import PREFECT_SERVER_API_AUTH_STRING, temporary_settings

from flows.reports import serve_reports


@pytest.fixture
def browser(home) -> TestClient:
    """A server whose UI answers every address, and the report of one run."""
    app = FastAPI()
    app.get("/{anything:path}")(lambda: "the UI")
    serve_reports(app)
    folder = home / "runs" / "bank" / "20261126-010203-abcdef"
    folder.mkdir(parents=True)
    for name in ("report.html", "health.html", "failing.csv", "run.json"):
        (folder / name).write_text(f"<b>{name}</b>", "utf-8")
    (home / "runs" / "report.html").write_text("not of a run", "utf-8")
    return TestClient(app)


RUN = "/reports/bank/20261126-010203-abcdef"


def test_a_report_and_its_lists_are_served_and_may_run_nothing(browser):
    """It stands at the address of the UI, and shows texts of others."""
    page = browser.get(f"{RUN}/report.html")
    assert (page.status_code, page.text) == (200, "<b>report.html</b>")
    assert page.headers["content-security-policy"].startswith("sandbox ")
    assert "script" not in page.headers["content-security-policy"]
    assert browser.get(f"{RUN}/health.html").text == "<b>health.html</b>"
    assert browser.get(f"{RUN}/failing.csv").text == "<b>failing.csv</b>"
    assert browser.get("/deployments").json() == "the UI"


@pytest.mark.parametrize(
    "path",
    [f"{RUN}/run.json", f"{RUN}/quarantine.csv", "/reports/bank/../report.html", "/reports/..%2fruns/./report.html"],
)
def test_nothing_else_is_served(path, browser):
    found = browser.get(path)
    assert "not of a run" not in found.text
    assert "run.json" not in found.text


def test_a_server_with_a_password_asks_for_it(browser):
    """As its API does: a report holds customers' queries."""
    with temporary_settings({PREFECT_SERVER_API_AUTH_STRING: "admin:s3cret"}):
        refused = browser.get(f"{RUN}/report.html")
        assert (refused.status_code, refused.headers["www-authenticate"][:5]) == (401, "Basic")
        assert browser.get(f"{RUN}/report.html", auth=("admin", "wrong")).status_code == 401
        assert browser.get(f"{RUN}/report.html", auth=("admin", "s3cret")).status_code == 200
