"""What a person sees of a run, the deployments and the form, in a browser without a way to the internet."""

import json

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.ops.browser import CHROMIUM, DRIVER, MISSING, Browser, browsing
from tests.ops.conftest import Machine

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason=MISSING)


def test_a_run_the_deployments_and_the_form_are_seen(machine):
    """Tables, curve, times and settings stand where somebody looks; the form starts a run with one field changed."""
    machine.write_toml("bank", 'schedule.cron = "30 2 * * *"')
    with machine.serving(), browsing(f"http://127.0.0.1:{machine.port}", height=1400) as browser:
        run = machine.ended(machine.run_now("train-corpus/bank"))
        evaluation = json.loads(next(machine.home.glob("runs/bank/*/evaluate/evaluation.json")).read_text())
        see_run(browser, run.id, evaluation)
        see_report(browser, run.id)
        see_deployments(browser)
        with machine.client() as client:
            deployment = client.read_deployment_by_name("train-corpus/bank").id
        see_form(browser, machine, deployment)
        assert browser.loaded()
        assert all(address.startswith(browser.ui) for address in browser.loaded())


def see_run(browser: Browser, run: object, evaluation: dict) -> None:
    """Its state and steps; the validation and recall tables; the loss curve, as an image that is really drawn."""
    browser.open(f"/runs/flow-run/{run}", "Published")
    browser.find("Task Runs").click()
    for step in ("ingest", "validate", "prepare", "train", "evaluate", "publish"):
        browser.find(f"{step}-bank")
    for what in ("validation", "recall", "training"):
        browser.open(f"/runs/flow-run/{run}", "Published")
        browser.choose("Artifacts", f"bank-{what}").click()
        browser.find("Show raw data")
        if what == "validation":
            head, *rows = browser.table()
            assert head == ["rule", "severity", "offenders", "what", "do"]
            assert "ordering" in [row[0] for row in rows], "the toy corpus is ordered by class"
            assert "Validation of bank: warn" in browser.text
        elif what == "recall":
            head, *rows = browser.table()
            assert [row[0] for row in rows] == ["candidate", "bm25", "tfidf"]
            shown = dict(zip(head, rows[0], strict=True))["recall@10"]
            assert float(shown) == pytest.approx(evaluation["model"]["recall_at_10"]["value"], abs=1e-4)
        else:
            curve = browser.wait(By.CSS_SELECTOR, "img[src^='data:image/svg+xml']")
            assert curve.get_property("naturalWidth") > 300


def see_deployments(browser: Browser) -> None:
    """Every corpus with its time; those without one, too."""
    browser.open("/deployments", "Deployments")
    browser.find("At 02:30 AM every day")
    names = browser.driver.find_elements(By.CSS_SELECTOR, "table tbody tr")
    assert [row.text.split("\n")[0] for row in names] == ["a", "all", "b", "bank", "c"]


def see_report(browser: Browser, run: object) -> None:
    """Its report opens from the artifact that every run leaves."""
    browser.open(f"/runs/flow-run/{run}", "Published")
    browser.choose("Artifacts", "bank-report").click()
    browser.find("Open the report").click()
    WebDriverWait(browser.driver, 30).until(lambda driver: len(driver.window_handles) == 2)
    here, there = browser.driver.window_handles
    browser.driver.switch_to.window(there)
    browser.find("What to do next")
    browser.driver.close()
    browser.driver.switch_to.window(here)


def see_form(browser: Browser, machine: Machine, deployment: object) -> None:
    """A few settings are fields with their bounds, the rest a text; nonsense is refused; changes make a run."""
    browser.open(f"/deployments/deployment/{deployment}/run", "Parameters")
    embedding = browser.field("Model", "Embedding Dim")
    assert "At least 2, at most 4096." in embedding.text
    assert "one KEY=VALUE a line" in browser.text
    assert len(browser.driver.find_elements(By.CSS_SELECTOR, "input, textarea, select, button")) < 50
    before = len(machine.runs())
    browser.fill(embedding, 1)
    browser.find("Submit").click()
    WebDriverWait(browser.driver, 30, poll_frequency=0.1).until(lambda _: "minimum of 2" in browser.text)
    assert len(machine.runs()) == before

    browser.fill(embedding, 24)
    browser.fill(browser.field("overrides (Optional)"), "training.epochs = 5")
    browser.leave("Submit")
    machine.wait(lambda: len(machine.runs()) == before + 1)
    (changed,) = [run for run in machine.runs() if run.parameters["corpus"]["model"]["embedding_dim"] == 24]
    assert machine.ended(changed).parameters["corpus"]["training"]["epochs"] == 6, "everything else is as it was"
    newest = max(machine.home.glob("runs/bank/*/settings.json"))
    assert json.loads(newest.read_text("utf-8"))["training"]["epochs"] == 5
