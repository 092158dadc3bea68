"""The screenshots of the pages: `make screenshots` writes docs/ui-*.png and docs/report.png.

A run of the bundled corpus C, served as `dssm serve` does, and the page of `dssm api`, in headless Chromium.
"""

import shutil
import sys
import tempfile
from pathlib import Path
from uuid import UUID

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from schemas.workspace import CHECKOUT
from tests.flows.api.conftest import serving
from tests.ops.browser import CHROMIUM, DRIVER, MISSING, Browser, browsing
from tests.ops.conftest import Machine

_DOCS = CHECKOUT / "docs"


def main() -> None:
    """Run corpus C and take them."""
    if not (CHROMIUM and DRIVER):
        sys.exit(MISSING)
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder))
        shutil.copytree(CHECKOUT / "data" / "corpora", machine.home / "corpora", dirs_exist_ok=True)
        with machine.serving():
            run = machine.ended(machine.run_now("train-corpus/c"))
            with machine.client() as client:
                deployment = client.read_deployment_by_name("train-corpus/c").id
            with browsing(f"http://127.0.0.1:{machine.port}", 1440, 1400) as browser:
                take(browser, run.id, deployment)
        take_report(machine.home)
        take_service(machine.home)


def take(browser: Browser, run: UUID, deployment: UUID) -> None:
    """Open the pages of a run and of a deployment of corpus C, and take them."""
    browser.open(f"/runs/flow-run/{run}", "Published")
    browser.choose("Artifacts", "c-recall")
    save(browser, "ui-run")
    browser.choose("Artifacts", "c-report").click()
    browser.find("Open the report")
    save(browser, "ui-report")
    browser.open(f"/deployments/deployment/{deployment}/run", "Parameters")
    overrides = browser.field("overrides (Optional)")
    browser.fill(overrides, "training.epochs = 4")
    browser.driver.execute_script("arguments[0].scrollIntoView({block: 'end'})", overrides)
    save(browser, "ui-form")


def take_report(home: Path) -> None:
    """Open the report of the last run as a file, and take its beginning."""
    newest = max(home.glob("runs/c/*/report.html"))
    with browsing(newest.as_uri(), 1180, 1700) as browser:
        browser.open("", "What to do next")
        save(browser, "report")


def take_service(home: Path) -> None:
    """Ask the service below a home, and take its page."""
    with serving(home) as api, browsing(api.url, 900, 760) as browser:
        api.search("手机号写错了", corpus="c")  # the first query of a process loads the dictionary
        browser.open("/", "Find the standard question")
        browser.wait(By.ID, "query").send_keys("儿童票怎么买" + Keys.ENTER)
        browser.table()
        browser.wait(By.CSS_SELECTOR, ".why summary").click()
        save(browser, "ui-service")


def save(browser: Browser, name: str) -> None:
    """Take docs/NAME.png, when what moves has come to rest."""
    browser.rest()
    file = _DOCS / f"{name}.png"
    browser.driver.save_screenshot(str(file))
    print(f"{file.relative_to(CHECKOUT)}: {file.stat().st_size / 1000:.0f} kB")  # noqa: T201 - its purpose


if __name__ == "__main__":
    main()
