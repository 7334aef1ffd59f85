"""The page in a real browser: asking, verdicts, uploads, keyboard, screen readers, hostile texts."""

from __future__ import annotations

import json
import os
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_core_python.selenium import Axe
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
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

# Notes all requests; those that `act` has a word for are held, lost or refused.
FETCH = """
const real = window.fetch;
window.requests = [];
window.held = [];
window.act = {};
window.fetch = (path, options = {}) => {
  const method = options.method || "GET";
  window.requests.push({ method, path, body: options.body });
  const found = Object.keys(window.act).find((part) => `${method} ${path} ${options.body}`.includes(part));
  const go = () => real.call(window, path, options);
  if (found === undefined) return go();
  const what = window.act[found];
  if (what === "hold") return new Promise((done) => window.held.push(() => done(go())));
  if (what === "unreachable") return Promise.reject(new TypeError("gone"));
  if (what === "lost") return go().then(() => { throw new TypeError("lost"); });
  return go().then(() => new Response('{"detail": "refused"}', { status: what }));
};
"""


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


def press(browser: webdriver.Chrome, *keys: str) -> None:
    """Real keys: they go where the focus is."""
    ActionChains(browser).send_keys(*keys).perform()


def act(browser: webdriver.Chrome, what: dict[str, str | int]) -> None:
    """What happens to requests with these words from now on."""
    browser.execute_script("window.act = arguments[0]", what)


def held(browser: webdriver.Chrome) -> int:
    count: int = browser.execute_script("return window.held.length")
    return count


def release(browser: webdriver.Chrome, at: int) -> None:
    browser.execute_script("window.held[arguments[0]]()", at)
    settle(browser)


def settle(browser: webdriver.Chrome) -> None:
    """Longer than an answer takes, for what must not happen."""
    browser.execute_async_script("setTimeout(arguments[0], 700)")


def posted(browser: webdriver.Chrome) -> list[dict[str, Any]]:
    sent = browser.execute_script("return window.requests")
    return [json.loads(r["body"]) for r in sent if r["path"] == "/v1/verdicts" and r["body"]]


def judge(
    browser: webdriver.Chrome, verdict: str, card: int = 0, *, fails: bool = False
) -> WebElement:
    """Press one of the buttons, and wait until the page shows what became of it."""
    selector = "#none" if verdict == "none" else f'[data-verdict="{verdict}"]'
    where: Any = browser
    if verdict != "none":
        where = browser.find_elements(By.CSS_SELECTOR, ".card")[card]
    button: WebElement = where.find_element(By.CSS_SELECTOR, selector)
    button.click()
    wait(
        browser,
        lambda: element(browser, "#problem").is_displayed() if fails else pressed(button),
    )
    return button


def pressed(button: WebElement) -> bool:
    return button.get_attribute("aria-pressed") == "true"


def choose(browser: webdriver.Chrome, name: str) -> None:
    script = "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))"
    browser.execute_script(script, element(browser, "#glossary-choice"), name)


def keep(server: Server, name: str, rows: str) -> None:
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/v1/glossaries/{name}?format=csv",
        data=rows.encode(),
        method="PUT",
        headers={"Content-Type": "application/octet-stream"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert answer.status in (200, 201)


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


def test_every_press_is_a_verdict_of_its_own(page: webdriver.Chrome, server: Server) -> None:
    ask(page, "How quick are we getting paid by customers?")
    page.execute_script(FETCH)
    right = judge(page, "right")
    none = judge(page, "none")
    assert not pressed(right)
    judge(page, "right")
    assert not pressed(none)
    judge(page, "none")
    none.click()  # is pressed already
    judge(page, "wrong", card=1)
    wait(page, lambda: len(posted(page)) >= 5)
    assert [one["verdict"] for one in posted(page)] == ["right", "none", "right", "none", "wrong"]
    stored = server.call("/v1/verdicts")[1][-5:]
    assert [one["id"] for one in stored] == [one["id"] for one in posted(page)]
    assert len({one["id"] for one in stored}) == 5


@pytest.mark.parametrize("failure", ["lost", 503])
def test_a_failed_verdict_is_sent_again_under_its_id(
    page: webdriver.Chrome, server: Server, failure: str | int
) -> None:
    ask(page, "How quick are we getting paid by customers?")
    before = len(server.call("/v1/verdicts")[1])
    page.execute_script(FETCH)
    act(page, {"POST /v1/verdicts": failure})
    assert not pressed(judge(page, "right", fails=True))
    assert "not stored" in element(page, "#problem").text
    act(page, {})
    judge(page, "right")
    assert not element(page, "#problem").is_displayed()
    first, second = posted(page)
    assert first["id"] == second["id"]
    assert len(server.call("/v1/verdicts")[1]) == before + 1


def test_a_failed_verdict_is_no_last_word_once_another_is_given(
    page: webdriver.Chrome, server: Server
) -> None:
    ask(page, "How quick are we getting paid by customers?")
    page.execute_script(FETCH)
    act(page, {"POST /v1/verdicts": "lost"})
    judge(page, "right", fails=True)
    act(page, {})
    judge(page, "none")
    judge(page, "right")
    stored = server.call("/v1/verdicts")[1][-3:]
    assert [one["verdict"] for one in stored] == ["right", "none", "right"]


def test_what_was_pressed_before_a_lost_verdict_can_be_said_again(
    page: webdriver.Chrome, server: Server
) -> None:
    ask(page, "How quick are we getting paid by customers?")
    page.execute_script(FETCH)
    right = judge(page, "right")
    act(page, {"POST /v1/verdicts": "lost"})
    judge(page, "wrong", fails=True)
    assert not pressed(right)
    act(page, {})
    judge(page, "right")
    stored = server.call("/v1/verdicts")[1][-3:]
    assert [one["verdict"] for one in stored] == ["right", "wrong", "right"]


def test_editing_the_box_leaves_the_answer_on_its_way(page: webdriver.Chrome) -> None:
    page.execute_script(FETCH)
    act(page, {"POST /v1/ask": "hold"})
    element(page, "#question").send_keys("How much are things like our patents worth?", Keys.ENTER)
    wait(page, lambda: held(page) == 1)
    press(page, " And more?")
    act(page, {})
    release(page, 0)
    wait(page, lambda: element(page, ".card"))
    assert "The question was: How much" in element(page, "#status").text
    assert page.switch_to.active_element.get_attribute("id") == "question"


def test_emptying_the_box_drops_the_answer_on_its_way(page: webdriver.Chrome) -> None:
    page.execute_script(FETCH)
    act(page, {"POST /v1/ask": "hold"})
    element(page, "#question").send_keys("x", Keys.ENTER)
    wait(page, lambda: held(page) == 1)
    press(page, Keys.BACKSPACE)
    assert element(page, "#status").text == ""
    release(page, 0)
    assert not page.find_elements(By.CSS_SELECTOR, ".card")
    assert element(page, "#status").text == ""


def test_another_glossary_drops_the_answer_on_its_way(
    page: webdriver.Chrome, server: Server
) -> None:
    first = element(page, "#glossary-choice").get_attribute("value")
    keep(server, "two-terms", "term,definition\nOwl,A bird of the night.\nOak,A tree.\n")
    open_page(page, server)
    wait(page, lambda: element(page, "#examples button"))
    examples = element(page, "#examples").text
    page.execute_script(FETCH)
    act(page, {"POST /v1/ask": "hold"})
    element(page, "#question").send_keys("How much are our patents worth?", Keys.ENTER)
    wait(page, lambda: held(page) == 1)
    choose(page, "two-terms")
    wait(page, lambda: "Owl" in element(page, "#examples").text)
    release(page, 0)
    assert not page.find_elements(By.CSS_SELECTOR, ".card")
    assert element(page, "#status").text == ""
    # Of two choices the later one counts, whichever is answered first.
    act(page, {"GET /v1/glossaries/": "hold"})
    choose(page, str(first))
    choose(page, "two-terms")
    choose(page, str(first))
    wait(page, lambda: held(page) == 4)
    for at in (3, 2, 1):
        release(page, at)
    assert element(page, "#examples").text == examples


def test_failures_in_the_background_are_told_or_harmless(page: webdriver.Chrome) -> None:
    page.execute_script(FETCH)
    act(page, {'"explain":true': 503, "GET /v1/verdicts": "unreachable"})
    cards = ask(page, "How quick are we getting paid by customers?")
    settle(page)
    assert cards[0].is_displayed()
    assert "answers." in element(page, "#status").text
    assert not element(page, "#problem").is_displayed()
    judge(page, "right")
    wait(page, lambda: "latest verdicts" in element(page, "#problem").text)
    assert "Noted" in element(page, "#status").text
    act(page, {"GET /v1/glossaries/": "unreachable"})
    choose(page, str(element(page, "#glossary-choice").get_attribute("value")))
    wait(page, lambda: "does not answer" in element(page, "#problem").text)


@pytest.mark.parametrize("down", [Keys.ARROW_DOWN, Keys.ESCAPE])
def test_the_keyboard_is_enough(page: webdriver.Chrome, server: Server, down: str) -> None:
    question = "Can we pay our short term bills?"
    wait(page, lambda: page.switch_to.active_element.get_attribute("id") == "question")
    page.execute_script(FETCH)
    before = server.call("/v1/verdicts")[1]
    press(page, question, Keys.ENTER)
    wait(page, lambda: element(page, ".card"))
    assert page.switch_to.active_element.get_attribute("id") == "question"
    press(page, down)
    assert page.switch_to.active_element.text.startswith("1.")
    assert element(page, "#question").get_attribute("value") == question
    press(page, "jj")
    assert page.switch_to.active_element.text.startswith("3.")
    press(page, "k")
    assert page.switch_to.active_element.text.startswith("2.")
    for at, (key, verdict) in enumerate({"r": "right", "w": "wrong", "n": "none"}.items(), start=1):
        press(page, key)
        wait(page, lambda at=at: len(server.call("/v1/verdicts")[1]) == len(before) + at)
        found = server.call("/v1/verdicts")[1][-1]
        assert (found["verdict"], found["question"]) == (verdict, question)
    wait(page, lambda: pressed(element(page, "#none")))
    press(page, "/")
    assert page.switch_to.active_element.get_attribute("id") == "question"
    press(page, "jkrwn")
    assert element(page, "#question").get_attribute("value") == f"{question}jkrwn"
    assert len(posted(page)) == 3


def test_a_name_is_kept_and_its_verdicts_can_be_removed(
    page: webdriver.Chrome, server: Server
) -> None:
    ask(page, "Can we pay our short term bills?")
    judge(page, "wrong", card=1)
    element(page, "#own summary").click()
    assert not element(page, "#remove").is_displayed()
    name = "Ann & <b>Söhne</b>"
    element(page, "#person").send_keys(f" {name} ")
    right = judge(page, "right")
    judge(page, "wrong", card=2)
    assert [one["person"] for one in server.call("/v1/verdicts")[1][-3:]] == [None, name, name]
    element(page, "#remove").click()
    dialog = element(page, "#remove-dialog")
    assert name in dialog.text
    assert axe_problems(page) == []
    press(page, Keys.ESCAPE)
    settle(page)
    assert page.switch_to.active_element.get_attribute("id") == "remove"
    assert server.call("/v1/verdicts")[1][-1]["person"] == name
    press(page, Keys.ENTER, Keys.TAB, Keys.ENTER)
    wait(page, lambda: f"Removed: 2 verdicts of {name}." in element(page, "#status").text)
    stored = server.call("/v1/verdicts")[1]
    assert name not in [one["person"] for one in stored]
    assert stored[-1]["verdict"] == "wrong"
    assert not pressed(right)
    # What is gone can be said again.
    judge(page, "right")
    assert server.call("/v1/verdicts")[1][-1]["person"] == name
    open_page(page, server)
    assert element(page, "#person").get_attribute("value") == name
    element(page, "#own summary").click()
    assert element(page, "#remove").is_displayed()
    element(page, "#person").send_keys(Keys.CONTROL, "a", Keys.NULL, Keys.BACKSPACE)
    wait(page, lambda: not element(page, "#remove").is_displayed())
    open_page(page, server)
    assert element(page, "#person").get_attribute("value") == ""


def test_a_browser_that_keeps_nothing_will_do(browser: webdriver.Chrome, server: Server) -> None:
    script = "for (const name of ['localStorage', 'sessionStorage']) Object.defineProperty(window, name, { get() { throw new DOMException('no', 'SecurityError'); } });"
    added = browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
    try:
        open_page(browser, server)
        ask(browser, "Can we pay our short term bills?")
        element(browser, "#own summary").click()
        element(browser, "#person").send_keys("Bo")
        judge(browser, "right")
        assert server.call("/v1/verdicts")[1][-1]["person"] == "Bo"
    finally:
        browser.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", added)


def test_the_right_one_is_found_by_term_and_by_id(page: webdriver.Chrome, server: Server) -> None:
    rows = [f"B-{at:03},Bird {at:03},A bird." for at in range(200)]
    rows += ["Oak-1,Oak,A tree.", "oak-2,OAK,Another tree."]
    keep(server, "capitals", "\n".join(["id,term,definition", *rows]))
    open_page(page, server)
    choose(page, "capitals")
    wait(page, lambda: "Bird" in element(page, "#examples").text)
    ask(page, "what flies?")
    field = element(page, "#right-term")

    def options() -> list[str]:
        script = "return [...document.querySelectorAll('#terms option')].map((o) => o.label)"
        found: list[str] = page.execute_script(script)
        return found

    field.click()
    assert len(options()) == 50
    field.send_keys("BIRD 19")
    assert options() == [f"B-{at}" for at in range(190, 200)]
    field.clear()
    field.send_keys("oak-")
    assert options() == ["Oak-1", "oak-2"]
    field.clear()
    names = {
        "B-123": "B-123",
        "b-007": "B-007",
        "Oak-1": "Oak-1",
        "OAK": "oak-2",
        "bIRD 005": "B-005",
    }
    for typed, wanted in names.items():
        field.send_keys(typed, Keys.ENTER)
        wait(
            page,
            lambda wanted=wanted: server.call("/v1/verdicts")[1][-1]["term_id"] == wanted,
        )
        wait(page, lambda: "Noted" in element(page, "#status").text)
    field.send_keys("no such tree", Keys.ENTER)
    assert "no term" in element(page, "#problem").text


def test_a_latest_verdict_is_asked_again(page: webdriver.Chrome) -> None:
    question = "How much are things like our patents worth?"
    ask(page, question)
    judge(page, "right")
    wait(page, lambda: element(page, "#recent button").text == question)
    ask(page, "Can we pay our short term bills?")
    element(page, "#recent button").click()
    assert element(page, "#question").get_attribute("value") == question
    wait(page, lambda: "intangible assets" in element(page, "#answers").text.lower())
    press(page, "j")
    assert page.switch_to.active_element.text.startswith("1.")


def test_a_wrong_token_is_called_wrong(browser: webdriver.Chrome, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    tokens.write_text("open-sesame-open-sesame\n")
    with running(tmp_path / "data", "--token-file", str(tokens)) as guarded:
        browser.get("about:blank")
        browser.get(f"http://127.0.0.1:{guarded.port}/#ask")
        wait(browser, lambda: element(browser, "#token-dialog[open]"))
        assert not element(browser, "#token-problem").is_displayed()
        press(browser, "not-the-right-token", Keys.ENTER)
        wait(browser, lambda: "not accept" in element(browser, "#token-problem").text)
        assert axe_problems(browser) == []
        # A way out, though the wrong one is still in the field.
        press(browser, Keys.ESCAPE)
        wait(browser, lambda: element(browser, "#problem").is_displayed())
        assert not element(browser, "#token-dialog").is_displayed()
        browser.refresh()
        wait(browser, lambda: "not accept" in element(browser, "#token-problem").text)
        press(browser, "open-sesame-open-sesame", Keys.ENTER)
        wait(browser, lambda: element(browser, "#examples button"))
        assert not element(browser, "#token-dialog").is_displayed()


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
    for view in ("ask", "own", "glossary", "quality"):
        open_page(browser, server, view)
        if view in ("ask", "own"):
            ask(browser, "How quick are we getting paid by customers?")
            wait(browser, lambda: element(browser, ".card mark"))
        if view == "own":
            element(browser, "#own summary").click()
            element(browser, "#person").send_keys("Ann" * 66)
            judge(browser, "right")
            browser.execute_script("document.getElementById('own').scrollIntoView(false)")
        assert axe_problems(browser) == []
        # Nothing is wider than the screen.
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        if pictures:
            browser.save_screenshot(str(Path(pictures) / f"page-{view}-{width}-{scheme}.png"))
        if view == "own":
            element(browser, "#remove").click()
            assert axe_problems(browser) == []
            if pictures:
                browser.save_screenshot(str(Path(pictures) / f"page-remove-{width}-{scheme}.png"))
            browser.execute_script("localStorage.removeItem('person')")
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
