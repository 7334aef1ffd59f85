"""The page in a real browser: asking, verdicts, uploads, keyboard, screen readers, hostile texts."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.live_server import Server, running

QUESTIONS = {
    "What are we spending to keep the business running this year?": "operating",
    "Are we giving investors a good return via dividends?": "dividend",
    "How much are things like our patents worth?": "intangible assets",
    "How quick are we getting paid by customers?": "days sales outstanding",
    "How has our provit after production been trending lately?": "profit",
}
PAYLOAD = '<img src=x onerror="window.hurt=1"><script>window.hurt=1</script>'
WAIT = 30
OPTIONS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars",
)  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("page") / "data") as found:
        yield found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    programs = shutil.which("chromium"), shutil.which("chromedriver")
    if None in programs:
        missing = "chromium and chromedriver are not installed (Debian: chromium chromium-driver)"
        if os.environ.get("GLOSSRANK_NEEDS_CHROMIUM") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    options = webdriver.ChromeOptions()
    options.binary_location = str(programs[0])
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=str(programs[1]))
    found = webdriver.Chrome(options=options, service=service)
    try:
        yield found
    finally:
        found.quit()


@pytest.fixture
def page(browser: webdriver.Chrome, server: Server) -> webdriver.Chrome:
    open_page(browser, server)
    return browser


def open_page(browser: webdriver.Chrome, server: Server, view: str = "ask") -> None:
    browser.get("about:blank")
    browser.get(f"http://127.0.0.1:{server.port}/#{view}")
    wait(browser, lambda: element(browser, "#glossary-choice option"))


def wait(browser: webdriver.Chrome, true: Any) -> Any:
    return WebDriverWait(browser, WAIT, ignored_exceptions=[LookupError]).until(lambda _: true())


def element(browser: webdriver.Chrome, selector: str) -> WebElement:
    found = browser.find_elements(By.CSS_SELECTOR, selector)
    if not found:
        raise LookupError(selector)
    return found[0]


def ask(browser: webdriver.Chrome, question: str) -> list[WebElement]:
    field = element(browser, "#question")
    field.clear()
    field.send_keys(question, Keys.ENTER)
    wait(browser, lambda: "answers." in element(browser, "#status").text)
    return browser.find_elements(By.CSS_SELECTOR, ".card")


def axe_problems(browser: webdriver.Chrome) -> list[str]:
    found = Axe().run(browser)
    return [f"{v['id']}: {v['nodes'][0]['html']}" for v in found["violations"]]


@pytest.mark.parametrize("question", QUESTIONS)
def test_questions_are_answered_with_reasons(page: webdriver.Chrome, question: str) -> None:
    cards = ask(page, question)
    assert QUESTIONS[question] in cards[0].text.lower()
    assert "%" in cards[0].text
    wait(page, lambda: element(page, ".card .word"))
    wait(page, lambda: element(page, ".card mark"))


def test_a_verdict_is_there_after_a_reload(page: webdriver.Chrome, server: Server) -> None:
    cards = ask(page, "How quick are we getting paid by customers?")
    button = cards[0].find_element(By.CSS_SELECTOR, '[data-verdict="right"]')
    button.click()
    wait(page, lambda: button.get_attribute("aria-pressed") == "true")
    open_page(page, server)
    wait(page, lambda: "How quick are we getting paid" in element(page, "#recent").text)
    open_page(page, server, "quality")
    wait(page, lambda: element(page, "#quality tbody tr"))
    assert element(page, "#chart svg").is_displayed()


def test_none_fits_and_the_right_one_is(page: webdriver.Chrome, server: Server) -> None:
    ask(page, "who is the king of France?")
    element(page, "#none").click()
    wait(page, lambda: "none of these" in element(page, "#status").text)
    element(page, "#right-term").send_keys("Cash", Keys.ENTER)
    wait(
        page,
        lambda: (
            element(page, "#problem").is_displayed() or "right" in element(page, "#status").text
        ),
    )
    stored = server.call("/v1/verdicts")[1]
    assert "none" in [one["verdict"] for one in stored]


def test_the_keyboard_is_enough(page: webdriver.Chrome, server: Server) -> None:
    element(page, "body").send_keys("/")
    active = page.switch_to.active_element
    assert active.get_attribute("id") == "question"
    active.send_keys("Can we pay our short term bills?", Keys.ENTER)
    wait(page, lambda: element(page, ".card"))
    before = len(server.call("/v1/verdicts")[1])
    page.switch_to.active_element.send_keys(Keys.TAB)
    element(page, ".primary").send_keys("j")
    page.switch_to.active_element.send_keys("j")
    assert "2." in page.switch_to.active_element.text
    page.switch_to.active_element.send_keys("k")
    page.switch_to.active_element.send_keys("r")
    wait(page, lambda: len(server.call("/v1/verdicts")[1]) == before + 1)
    verdict = server.call("/v1/verdicts")[1][-1]
    assert (verdict["verdict"], verdict["question"]) == (
        "right",
        "Can we pay our short term bills?",
    )


def test_hostile_texts_are_texts(page: webdriver.Chrome, server: Server) -> None:
    open_page(page, server, "glossary")
    rows = f'term,definition\n"{PAYLOAD.replace(chr(34), chr(34) * 2)}",What hurts.\nCash,Money.\n'
    page.execute_script("document.getElementById('pasted').value = arguments[0]", rows)
    element(page, "#upload-name").send_keys("hostile")
    element(page, '#upload-form [value="keep"]').click()
    wait(page, lambda: "Kept" in element(page, "#upload-status").text)
    open_page(page, server)
    choice = element(page, "#glossary-choice")
    page.execute_script(
        "arguments[0].value = 'hostile'; arguments[0].dispatchEvent(new Event('change'))", choice
    )
    wait(page, lambda: "<img" in element(page, "#examples").text)
    cards = ask(page, f"what hurts? {PAYLOAD}")
    assert any("<img" in card.text for card in cards)
    cards[0].find_element(By.CSS_SELECTOR, '[data-verdict="right"]').click()
    wait(page, lambda: "<img" in element(page, "#recent").text)
    assert page.execute_script("return window.hurt") is None


def test_a_bad_upload_says_what_is_wrong(page: webdriver.Chrome, server: Server) -> None:
    open_page(page, server, "glossary")
    element(page, "#pasted").send_keys("only\none column\n")
    element(page, '#upload-form [value="check"]').click()
    wait(page, lambda: element(page, "#upload-problem").is_displayed())
    assert "expected" in element(page, "#upload-problem").text


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_every_view_is_accessible(
    browser: webdriver.Chrome, server: Server, width: int, scheme: str
) -> None:
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    pictures = os.environ.get("GLOSSRANK_SCREENSHOTS")
    for view in ("ask", "glossary", "quality"):
        open_page(browser, server, view)
        if view == "ask":
            ask(browser, "How quick are we getting paid by customers?")
            wait(browser, lambda: element(browser, ".card mark"))
        assert axe_problems(browser) == []
        # Nothing is wider than the screen.
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        if pictures:
            browser.save_screenshot(str(Path(pictures) / f"page-{view}-{width}-{scheme}.png"))
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_nothing_foreign_is_loaded_and_nothing_is_refused(
    page: webdriver.Chrome, server: Server
) -> None:
    ask(page, "How quick are we getting paid by customers?")
    names = page.execute_script("return performance.getEntriesByType('resource').map(r => r.name)")
    assert all(name.startswith(f"http://127.0.0.1:{server.port}/") for name in names)
    entries = page.get_log("browser")  # type: ignore[no-untyped-call]
    problems = [entry for entry in entries if entry["level"] == "SEVERE"]
    assert not [p for p in problems if "Content Security Policy" in p["message"]]
