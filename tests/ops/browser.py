"""The Prefect UI as a person sees it: headless Chromium without a way to the internet."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import TimeoutException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
MISSING = "no chromium and chromedriver here; Debian: apt-get install chromium chromium-driver"
_PATIENCE = 120  # seconds
_OPTIONS = (
    "--headless",
    "--no-sandbox",  # root has none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",  # offline but for this machine
)


class Browser:
    """One window, and what a person finds in it."""

    def __init__(self, driver: webdriver.Chrome, ui: str) -> None:
        self.driver, self.ui = driver, ui

    def open(self, path: str, text: str) -> None:
        """Open a page of the UI, and wait until it shows a text."""
        self.driver.get(f"{self.ui}{path}")
        self.find(text)

    def find(self, text: str) -> WebElement:
        """Wait for the innermost element with exactly this text."""
        same = f"normalize-space(.)='{text}'"
        return self.wait(By.XPATH, f"//*[{same} and not(*[{same}])]")

    def choose(self, tab: str, text: str) -> WebElement:
        """Open a tab of the page, and wait for a text in it; a page that is being drawn loses clicks."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            self.find(tab).click()
            time.sleep(2)
            found = self.driver.find_elements(By.XPATH, f"//*[normalize-space(.)='{text}']")
            if any(one.is_displayed() for one in found):
                break
        return self.find(text)

    def leave(self, button: str) -> None:
        """Click a button until another page opens: a form that is still being checked loses clicks."""
        here, until = self.driver.current_url, time.monotonic() + _PATIENCE
        while self.driver.current_url == here and time.monotonic() < until:
            self.find(button).click()
            try:
                WebDriverWait(self.driver, 15).until(lambda driver: driver.current_url != here)
            except TimeoutException:
                continue

    def wait(self, by: str, what: str) -> WebElement:
        """Wait for the first visible element."""

        def look(driver: webdriver.Chrome) -> WebElement | None:
            return next((one for one in driver.find_elements(by, what) if one.is_displayed()), None)

        try:
            found: WebElement = WebDriverWait(self.driver, _PATIENCE, poll_frequency=0.1).until(look)
        except TimeoutException as error:
            raise AssertionError(f"not found: {what}\n{self.text[-3000:]}") from error
        return found

    @property
    def text(self) -> str:
        """All text of the page."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def table(self) -> list[list[str]]:
        """Wait for the page's table, and return its rows, the head first."""
        self.wait(By.CSS_SELECTOR, "table tbody tr")
        rows = self.driver.find_elements(By.CSS_SELECTOR, "table tr")
        return [[cell.text for cell in row.find_elements(By.CSS_SELECTOR, "th, td")] for row in rows]

    def field(self, *labels: str) -> WebElement:
        """Wait for a field of the form, by its label and those of what it lies in, outermost first."""
        around = "/ancestor::div[contains(concat(' ', @class, ' '), ' schema-form-property ')][1]"
        path = [
            f"//span[@class='schema-form-property__label' and normalize-space(.)='{label}']{around}" for label in labels
        ]
        return self.wait(By.XPATH, "".join(path))

    def fill(self, field: WebElement, value: object) -> None:
        """Replace what is filled in."""
        box = field.find_element(By.CSS_SELECTOR, "input, textarea")
        box.send_keys(Keys.CONTROL, "a")
        box.send_keys(str(value))

    def rest(self) -> None:
        """Wait until the page looks the same twice, a second apart; the timeline of a run glides into its place."""
        before = b""
        for _ in range(_PATIENCE):
            if before == (before := self.driver.get_screenshot_as_png()):
                return
            time.sleep(1)

    def loaded(self) -> list[str]:
        """Return the addresses of everything that the page asked for; a "data:" address holds its bytes itself."""
        names: Any = self.driver.execute_script("return performance.getEntriesByType('resource').map(e => e.name)")
        return [name for name in names if not name.startswith("data:")]


@contextmanager
def browsing(ui: str, width: int = 1440, height: int = 1000) -> Iterator[Browser]:
    """A window with an empty profile, closed with the block."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for option in (*_OPTIONS, f"--window-size={width},{height}"):
        options.add_argument(option)
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        yield Browser(driver, ui)
    finally:
        driver.quit()
