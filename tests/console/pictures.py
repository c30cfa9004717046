"""`make pictures`: the console as README and docs show it, in docs/pictures."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.console.browser import Browser, BrowserError
from tests.console.scene import Scene
from tests.support.kafka import make_topics
from tests.support.streaming import produce, until
from tools.local_kafka import Broker

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = Path("docs/pictures")
# By name: width and height in CSS pixels, and the colour scheme.
PICTURES = {
    "console-light": (1280, 720, "light"),
    "console-dark": (1280, 720, "dark"),
    "console-phone-light": (390, 1240, "light"),
    "console-phone-dark": (390, 1240, "dark"),
}
MOST_BYTES = 200_000
SHOWN = "document.querySelector('main').textContent.includes('spentWithinTheHour')"
GENERATED = 3000
BROKEN = [
    b'{"source": "alice"',
    b"",
    b'{"source": "alice", "target": "bob", "amount": "5"}',
    b"[1]",
]


def main() -> int:
    """Take all pictures; exit code 1 where there is no browser."""
    try:
        with Broker() as broker, tempfile.TemporaryDirectory(prefix="fraud-pictures-") as name:
            _take(broker, Path(name))
    except BrowserError as error:
        sys.stderr.write(f"pictures: {error}\n")
        return 1
    return 0


def _take(broker: Broker, folder: Path) -> None:
    topics = make_topics(broker)
    scene = Scene(broker, topics, folder)
    profile = folder / "browser"
    profile.mkdir()
    generator = scene.service(
        "generator",
        TRANSACTIONS_PROFILE="accounts",
        TRANSACTIONS_ACCOUNTS="1000000",
        TRANSACTIONS_PER_SECOND="250",
        TRANSACTIONS_SEED="7",
        TRANSACTIONS_COUNT=str(GENERATED),
    )
    with scene, generator, Browser(profile) as browser:
        produce(broker, topics.transactions, [(b"alice", value) for value in BROKEN])
        browser.look(1280)
        browser.open(scene.url)
        until(lambda: scene.state()["totals"]["legit"] > GENERATED * 0.8, "it judges")
        assert generator.wait() == 0
        produce(broker, topics.transactions, _staged())
        until(lambda: browser.run(SHOWN), "the frauds are shown")
        FOLDER.mkdir(exist_ok=True)
        for picture, (width, height, scheme) in PICTURES.items():
            browser.look(width, scheme, height)
            taken = browser.picture()
            assert len(taken) < MOST_BYTES, (picture, len(taken))
            (FOLDER / f"{picture}.png").write_bytes(taken)


def _staged() -> Iterator[tuple[bytes, bytes]]:
    """Frauds of every kind, the last to come."""
    payments = [
        *(("W0P6b61qk3Lx", "DveiWS8Carki", 560.25) for _ in range(5)),
        ("W0P6b61qk3Lx", "DveiWS8Carki", 1118.49),
        ("TljAUFfbVdzA", "jwG67nXzsXmD", 1212.85),
        *(("BE2X1IwLbJD9", "9QRKLqJkWpjL", 1.8) for _ in range(6)),
    ]
    for source, target, amount in payments:
        told = {"source": source, "target": target, "amount": amount, "currency": "USD"}
        yield source.encode(), json.dumps(told).encode()


if __name__ == "__main__":
    sys.exit(main())
