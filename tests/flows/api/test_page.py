"""The page to try it out, as a person sees it."""

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.conftest import TOY
from tests.flows.api.conftest import publish_as, serving
from tests.ops.browser import CHROMIUM, DRIVER, MISSING, Browser, browsing
from tests.tasks.conftest import dress

pytestmark = pytest.mark.skipif(not (CHROMIUM and DRIVER), reason=MISSING)


def ask(browser: Browser, query: str) -> list[list[str]]:
    """Type a query and press Enter; return the table."""
    box = browser.wait(By.ID, "query")
    box.send_keys(Keys.CONTROL, "a")
    box.send_keys(query + Keys.ENTER)
    return browser.table()


def test_a_query_is_typed_and_answered(api):
    """Standard questions with scores, best first, in both languages, from nowhere but the service."""
    with browsing(api.url) as browser:
        browser.open("/", "Find the standard question")
        browser.wait(By.CSS_SELECTOR, "#corpus option[value=toy]").click()
        head, *rows = ask(browser, "怎么退票")
        results = api.search("怎么退票").json()["results"]
        assert head == ["#", "Standard question", "Score"]
        assert [row[1].splitlines()[0] for row in rows] == [one["standard_question"] for one in results]
        assert [row[2] for row in rows] == [f"{one['score']:.3f}" for one in results]
        assert "toy, version" in browser.text
        assert "the first is right with a probability of" in browser.text

        browser.wait(By.CSS_SELECTOR, ".why summary").click()
        browser.find("N-grams of the query, with their shares of the score")
        assert "退票 +" in browser.text

        browser.find("中文").click()
        browser.find("查找标准问")
        assert "第一条正确的概率为" in browser.text
        assert browser.table()[0] == ["#", "标准问", "得分"]
        assert browser.driver.execute_script("return document.documentElement.lang") == "zh-CN"
        assert all(address.startswith((api.url, "data:")) for address in browser.loaded())
        assert not [one for one in browser.driver.get_log("browser") if one["level"] == "SEVERE"]


def test_markup_in_a_query_is_text(api):
    """What a customer typed runs nowhere; a problem is shown as the service says it."""
    with browsing(api.url) as browser:
        browser.open("/", "Find the standard question")
        browser.wait(By.CSS_SELECTOR, "#corpus option")
        ask(browser, "<img src=x onerror=alert(1)>")
        browser.driver.execute_script("document.getElementById('query').value = 'a'.repeat(1001)")
        browser.find("Search").click()
        browser.find("query has 1001 characters, at most 1000 are read")


def test_a_key_is_asked_for(home):
    """With it the page works, without it it says what is missing."""
    with serving(home, DSSM_API_KEYS="sesame") as api, browsing(api.url) as browser:
        browser.open("/", "Find the standard question")
        browser.find("This service needs a key: enter it above, under “API key”.")
        browser.wait(By.ID, "key").send_keys("sesame" + Keys.TAB)
        assert len(ask(browser, "退票")) == 11


def test_fields_of_standard_questions_are_shown(candidate, tmp_path):
    """An answer as it is written, a list with commas."""
    rows = {text: {"answer": "<b>回答</b>", "channel": '["App", "微信"]'} for text in TOY}
    home = tmp_path / "home"
    publish_as(home, "toy", dress(candidate, tmp_path / "dressed", rows))
    with serving(home) as api, browsing(api.url) as browser:
        browser.open("/", "Find the standard question")
        browser.wait(By.CSS_SELECTOR, "#corpus option")
        _, first, *_ = ask(browser, "怎么退票")
        assert first[1].splitlines()[-5:] == ["answer", "<b>回答</b>", "channel", "App, 微信", "Why"]
