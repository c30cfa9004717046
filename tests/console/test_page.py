"""The console as a person has it: in a real browser, with real detectors and a real broker."""

from __future__ import annotations

import json
import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.console.scene import Scene
from tests.support.kafka import make_topics
from tests.support.streaming import produce, until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.console.browser import Browser
    from tools.local_kafka import Broker

pytestmark = pytest.mark.kafka

# Every text that is seen whose contrast with what is behind it is less than WCAG's AA asks for.
CONTRAST = """(() => {
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const behind = (node) => {
    for (let n = node; n; n = n.parentElement) {
      const found = numbers(getComputedStyle(n).backgroundColor);
      if (found.length === 3 || found[3] === 1) return found;
    }
    return [255, 255, 255];
  };
  const texts = [...document.body.querySelectorAll("*")].filter((node) => node.checkVisibility()
    && [...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim()));
  return { texts: texts.length, low: texts.map((node) => {
    const colours = [numbers(getComputedStyle(node).color), behind(node)];
    const [a, b] = colours.map(light).sort((x, y) => y - x);
    return [(a + 0.05) / (b + 0.05), node.textContent];
  }).filter(([ratio]) => ratio < 4.5) };
})()"""
HOSTILE = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    "\u202egnp.exe\u2066\u0000\u001b[31m",
    "שלום עולם",
    "a" * 65_536,
    "e" + "\u0301" * 5000,
    "no-space" * 40,
]


@pytest.fixture(scope="module")
def scene(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A detector with the sample rules, and a console."""
    with Scene(broker, make_topics(broker), tmp_path_factory.mktemp("scene")) as running:
        yield running


@pytest.fixture
def page(scene: Scene, browser: Browser) -> Browser:
    """The console in the browser, with what is in the topics shown."""
    browser.open(scene.url)
    until(partial(text, browser, "#rule-list"), "the rules are shown")
    return browser


def text(browser: Browser, css: str) -> str:
    """What is seen of an element."""
    found = browser.run(f"document.querySelector({json.dumps(css)})?.innerText ?? ''")
    return str(found).strip()


def says(browser: Browser, css: str, *words: str) -> str:
    """Wait until an element says some words, and give all that it says."""

    def said() -> str:
        found = text(browser, css)
        return found if all(word in found for word in words) else ""

    return until(said, f"{css} says {words}; it says {text(browser, css)!r}")


def payment(**changes: Any) -> bytes:
    told = {"source": "alice", "target": "bob", "amount": 10.0, "currency": "USD", **changes}
    return json.dumps(told).encode()


def pay(scene: Scene, *payments: bytes) -> None:
    """Write payments of one account."""
    produce(scene.broker, scene.topics.transactions, [(b"alice", value) for value in payments])


def write_frauds(scene: Scene, **texts: str) -> None:
    """Write what no detector of ours would: frauds whose every text is a stranger's."""
    match = {
        "rule": texts["name"],
        "mode": "Enforce",
        "action": "Flag",
        "score": 100,
        "reasonCode": texts["name"],
        "description": texts["name"],
        "aggregates": {texts["name"]: 1.0},
    }
    header = json.dumps({"verdict": "fraud", "score": 100, "matches": [match]}).encode()
    value = payment(source=texts["name"], target=texts["name"], currency=texts["name"])
    records = [(b"x", value)]
    produce(scene.broker, scene.topics.fraud, records, headers=[("fraud.decision", header)])


def number(browser: Browser, css: str) -> int:
    digits = re.sub(r"\D", "", text(browser, css))
    return int(digits or 0)


def test_numbers_come_and_a_rules_matches_grow(page: Browser, scene: Scene) -> None:
    matches = "#rule-list tr:nth-child(3) td:nth-child(4)"
    assert text(page, "#rule-list tr:nth-child(3) th") == "high-amount"
    judged, matched = number(page, "#judged"), number(page, matches)
    pay(scene, *[payment()] * 180, *[payment(amount=901.0)] * 20)
    until(lambda: number(page, "#judged") == judged + 200, "all are judged")
    until(lambda: number(page, matches) == matched + 20, "the rule's matches")
    assert re.fullmatch(r"[\d.,]+/s", text(page, "#transactions"))
    assert text(page, "#transactions") != "0.0/s"
    assert re.fullmatch(r"≤ [\d.]+ (ms|s)", text(page, "#p99"))
    assert text(page, "#answering") == "1 of 1"
    says(page, "#lag", "0")
    says(page, "#rule-list tr:nth-child(3)", "Enforce", "Ready", "1 of 1")
    says(page, "#rule-list tr:nth-child(2)", "draining", "Shadow")
    says(page, "#detector-list", scene.addresses[0], "yes")


def test_a_fraud_comes_with_its_explanation_in_words(page: Browser, scene: Scene) -> None:
    pay(scene, *[payment(source="carol", amount=1.25)] * 5)
    said = says(page, "#fraud-list li:first-child", "carol", "smallPayments 5")
    words = " ".join(said.split())
    assert "1.25 USD score 100 from carol to bob" in words
    assert "card-testing: The fifth payment of less than 5 within a minute" in words
    assert "CARD_TESTING (+100)" in words


def test_dead_letters_come_by_reason(page: Browser, scene: Scene) -> None:
    pay(scene, b"{", b"{", b"[]")
    said = says(page, "#dead-letter-list", "malformed_json", "not_an_object")
    assert said.split("\n")[0].split() == ["malformed_json", "2"]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: repr(name[:12]))
def test_a_hostile_name_does_no_harm(page: Browser, scene: Scene, name: str) -> None:
    write_frauds(scene, name=name)
    first = "document.querySelector('#fraud-list li')"
    start = json.dumps(name[:3] if name[0].isprintable() else r"\u202e")
    until(
        lambda: page.run(f"{first}?.querySelector('.rule')?.textContent.startsWith({start})"),
        "it is shown",
    )
    assert page.run("window.hacked") is None
    # Nothing but the page's own elements, and each text apart from its surroundings.
    assert page.run("document.scripts.length") == 1
    assert page.run(f"{first}.querySelectorAll(':not(p, span, time, bdi)').length") == 0
    isolated = f"[...{first}.querySelectorAll('bdi')].map((n) => getComputedStyle(n).unicodeBidi)"
    assert set(page.run(isolated)) == {"isolate"}
    shown = (
        f"[...{first}.querySelectorAll('bdi')].map((n) => [n.textContent.length, n.title.length])"
    )
    assert all(length <= 300 and title <= 400 for length, title in page.run(shown))
    assert page.run(f"!/[\\u202a-\\u202e\\u2066-\\u2069\\u0000-\\u001f]/.test({first}.textContent)")
    for width in (390, 1280):
        page.look(width)
        assert page.run("document.documentElement.scrollWidth") <= width
        box = page.run(f"(({first}).getBoundingClientRect().height)")
        assert box < 600, "it leaves room for others"
    if "<" in name:
        assert name[:20] in text(page, "#fraud-list li:first-child")
    before = text(page, "#seen")
    until(lambda: text(page, "#seen") != before, "the page goes on")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_text_has_the_contrast_of_aa(
    page: Browser, scene: Scene, width: int, scheme: str
) -> None:
    pay(scene, payment(amount=950.0), b"")
    says(page, "#fraud-list", "950.00 USD")
    says(page, "#dead-letter-list", "empty")
    page.run("missing([{what: 'Detector x', since: 0, said: 'no connection to it'}])")
    page.look(width, scheme)
    found = page.run(CONTRAST)
    assert found["texts"] > 30
    assert found["low"] == []
    ground = page.run("getComputedStyle(document.documentElement).backgroundColor")
    assert (ground == "rgb(15, 19, 23)") == (scheme == "dark")


def test_the_contrast_of_a_pale_text_is_told(page: Browser) -> None:
    """What shows that the test above could fail."""
    page.run("document.querySelector('h1').style.color = '#999'")
    assert [told for _, told in page.run(CONTRAST)["low"]] == ["Fraud detection"]


@pytest.mark.parametrize("width", [390, 1280])
def test_a_screen_reader_finds_headings_tables_and_news(
    page: Browser, scene: Scene, width: int
) -> None:
    pay(scene, b"")
    says(page, "#dead-letter-list", "empty")
    page.look(width)
    nodes = page.accessible()

    def named(role: str) -> list[str]:
        return [n.get("name", {}).get("value", "") for n in nodes if n["role"]["value"] == role]

    assert named("heading") == [
        "Fraud detection",
        "Rates",
        "Rules",
        "Dead letters",
        "Detectors",
        "Recent frauds",
    ]
    assert len(named("main")) == 1
    assert named("table") == ["Rules", "Dead letters", "Detectors"]
    assert {"Rule", "Mode", "State", "Matches", "Errors", "In force on"} <= {*named("columnheader")}
    assert {"card-testing", "draining", "high-amount"} <= {*named("rowheader")}
    assert named("button") == ["Pause"]
    status = next(n for n in nodes if n["role"]["value"] == "status")
    told = {p["name"]: p["value"]["value"] for p in status["properties"]}
    assert told["live"] == "polite"


def test_the_page_is_paused_with_the_keyboard(page: Browser) -> None:
    page.press("Tab", 9)
    assert page.run("document.activeElement.id") == "pause"
    assert page.run("getComputedStyle(document.activeElement).outlineWidth") == "3px"
    page.press("Enter", 13, "\r")
    assert page.run("document.activeElement.getAttribute('aria-pressed')") == "true"
    says(page, "#seen", "paused")
    before = text(page, "#seen")
    time.sleep(2.5)  # two rounds that are not to be seen
    assert text(page, "#seen") == before
    page.press("Enter", 13, "\r")
    until(lambda: "paused" not in text(page, "#seen"), "it goes on")


def test_nothing_moves_for_who_asked_for_that(page: Browser, scene: Scene) -> None:
    pay(scene, payment(amount=950.0))
    says(page, "#fraud-list", "950.00 USD")
    assert page.run("getComputedStyle(document.querySelector('.fresh')).animationName") == "none"


def test_a_script_of_a_stranger_is_not_run_even_if_it_came_in(page: Browser) -> None:
    page.run(
        "(() => { const s = document.createElement('script'); s.textContent = 'window.hacked = 1'; "
        "document.body.append(s); })()"
    )
    assert page.run("window.hacked") is None
    until(lambda: _refused(page), "the browser says that it refused it")
    page.events.clear()


def _refused(page: Browser) -> bool:
    page.run("0")  # events come with answers
    return any("Content Security Policy" in json.dumps(event) for event in page.events)


def test_a_detector_that_is_killed_is_said_and_the_rest_goes_on(
    broker: Broker, browser: Browser, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Takes 20 s: the session of the one that was killed has to end."""
    folder = tmp_path_factory.mktemp("killed")
    with Scene(broker, make_topics(broker), folder, detectors=2) as scene:
        browser.open(scene.url)
        says(browser, "#answering", "2 of 2")
        says(browser, "#rule-list tr:first-child", "2 of 2")
        paying: Callable[[int], None] = lambda n: produce(  # noqa: E731 - in every partition
            broker, scene.topics.transactions, [(f"{i}".encode(), payment()) for i in range(n)]
        )
        paying(100)
        until(lambda: number(browser, "#judged") == 100, "all are judged")
        scene.detectors[0].kill()
        said = says(browser, "#missing", f"Detector {scene.addresses[0]}: missing since")
        assert re.search(r"since \d\d:\d\d:\d\d \(no connection to it\)\.$", said)
        says(browser, "#answering", "1 of 2")
        says(browser, "#rule-list tr:first-child", "1 of 2")
        paying(100)
        until(lambda: number(browser, "#judged") == 200, "the other judges them")
        assert text(browser, "#missing") == said
        scene.console.kill()
        says(browser, "#missing", "The console: missing since")
        browser.open("data:,")
        browser.events.clear()  # of the page that was not answered
