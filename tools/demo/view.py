"""The demo's view: a live screen on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from services.console.samples import Page, Sample, quantile
from services.records.words import (
    clock,
    decision_of,
    match_words,
    record_words,
    transaction_words,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from confluent_kafka import Message

RATE_WINDOW_SECONDS = 3.0
PLAIN_EVERY_SECONDS = 2.0
_NEWS = 4


class Moment(NamedTuple):
    """A sample with its time, in seconds of a monotonic clock."""

    at: float
    sample: Sample


class Rates(NamedTuple):
    """Rates per second, and the latency of decisions, in seconds."""

    legit: float
    fraud: float
    dead_letters: float
    p50: float | None
    p99: float | None


def rates(moments: Iterable[Moment]) -> Rates:
    """Compute rates between the first and the last of some moments."""
    first, *_, last = moments
    seconds = max(last.at - first.at, 0.001)
    a, b = first.sample, last.sample
    return Rates(
        legit=(b.legit - a.legit) / seconds,
        fraud=(b.fraud - a.fraud) / seconds,
        dead_letters=(b.dead_letters - a.dead_letters) / seconds,
        p50=quantile(a.counts, b.counts, 0.5),
        p99=quantile(a.counts, b.counts, 0.99),
    )


def news(before: Page, now: Page) -> list[str]:
    """Describe the changes between two `/ruleset` pages."""
    said = []
    if before.hash != now.hash:
        said.append(f"rules changed: ruleset {now.hash} is in force from here on")
    states = {rule.name: rule for rule in before.rules}
    for rule in now.rules:
        old = states.pop(rule.name, None)
        if rule.message and (old is None or old.message != rule.message):
            kept = (
                "its last good version stays in force"
                if rule.state == "Stale"
                else "it is not live"
            )
            said.append(f"rule {rule.name} rejected, {kept}: {rule.message}")
        elif old is None:
            said.append(f"rule {rule.name} is new")
        elif old.message and not rule.message:
            said.append(f"rule {rule.name} is good again")
    return said + [f"rule {name} is gone" for name in states]


class View:
    """Shows moments as they come: as a screen on a terminal, else as lines."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._console = Console(highlight=False)
        self._moments: deque[Moment] = deque()
        self._news: deque[str] = deque(maxlen=_NEWS)
        self._plain_at = 0.0
        self.fraud_shown = False
        """True once a fraud was shown, with its explanation."""
        self._live = (
            Live(console=self._console, auto_refresh=False, transient=True)
            if self._console.is_terminal
            else None
        )
        if self._live:
            self._live.start()

    def stop(self) -> None:
        """Restore the terminal."""
        if self._live:
            self._live.stop()

    def show(self, sample: Sample, frauds: Sequence[Message]) -> None:
        """Show a sample and the latest frauds."""
        now = time.monotonic()
        if self._moments:
            self._tell(news(self._moments[-1].sample.page, sample.page))
        self._moments.append(Moment(now, sample))
        while now - self._moments[0].at > RATE_WINDOW_SECONDS and len(self._moments) > 2:
            self._moments.popleft()
        if len(self._moments) < 2:
            return
        if self._live:
            screen = Group(
                _numbers(self._title, sample, rates(self._moments)),
                _rules(sample),
                _frauds(frauds),
                _footer(self._news),
            )
            self._live.update(screen, refresh=True)
            self.fraud_shown |= bool(frauds)
        elif now - self._plain_at >= PLAIN_EVERY_SECONDS:
            self._plain_at = now
            self._lines(sample, rates(self._moments), frauds)

    def _tell(self, said: list[str]) -> None:
        stamp = time.strftime("%H:%M:%S", time.gmtime())
        for line in said:
            self._news.append(f"{stamp}  {line}")
            if self._live is None:
                self._console.print(f"{stamp}  {line}", markup=False, soft_wrap=True)

    def _lines(self, sample: Sample, now: Rates, frauds: Sequence[Message]) -> None:
        self._console.print(
            f"{time.strftime('%H:%M:%S', time.gmtime())}  legit {sample.legit:,} "
            f"({now.legit:,.0f}/s)  fraud {sample.fraud:,} ({now.fraud:,.0f}/s)  dead letters "
            f"{sample.dead_letters:,}  lag {sample.lag:,}  latency p50 {_ms(now.p50)} "
            f"p99 {_ms(now.p99)}",
            soft_wrap=True,
        )
        self.fraud_shown |= bool(frauds)
        for line in record_words(frauds[-1]) if frauds else []:
            self._console.print(f"    {line}", markup=False, soft_wrap=True)


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"≤ {seconds * 1000:,.0f} ms"


def _numbers(title: str, sample: Sample, now: Rates) -> RenderableType:
    table = Table.grid(padding=(0, 3))
    for name, total, rate, style in (
        ("legit", sample.legit, now.legit, "green"),
        ("fraud", sample.fraud, now.fraud, "bold red"),
        ("dead letters", sample.dead_letters, now.dead_letters, "yellow"),
    ):
        table.add_row(Text(name, style), f"{rate:,.0f}/s", f"{total:,} in all")
    table.add_row("latency", f"p50 {_ms(now.p50)}", f"p99 {_ms(now.p99)}, append to commit")
    table.add_row("lag", f"{sample.lag:,}", "records not judged yet")
    return Panel(table, title=title, title_align="left")


def _rules(sample: Sample) -> RenderableType:
    table = Table(box=None, pad_edge=False)
    for column in ("rule", "mode", "state", "matches"):
        table.add_column(column, justify="right" if column == "matches" else "left")
    for rule in sample.page.rules:
        style = "" if rule.state in {"Ready", "Disabled"} else "bold red"
        matches = f"{sample.matches.get(rule.name, 0):,}"
        table.add_row(Text(rule.name), rule.mode, Text(rule.state, style), matches)
    return Panel(table, title=f"ruleset {sample.page.hash}", title_align="left")


def _frauds(frauds: Sequence[Message]) -> RenderableType:
    lines = Text(no_wrap=True, overflow="ellipsis")
    for message in reversed(frauds):
        decision = decision_of(message)
        lines.append(f"{clock(message)}  {transaction_words(message)}", "bold")
        lines.append(f"  score {decision.score if decision else '?'}\n")
        for match in decision.matches if decision else ():
            lines.append(f"          {match_words(match)}\n", "dim")
    return Panel(lines, title="latest frauds", title_align="left")


def _footer(latest: Iterable[str]) -> RenderableType:
    text = Text(
        "Edit a file in k8s/rules/ and save it: verdicts change at once. Ctrl-C ends.", "dim"
    )
    for line in latest:
        text.append(f"\n{line}", "bold yellow not dim")
    return text
