"""The main job, as `make demo` runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from services.this_machine import die_with_parent
from tests.streaming import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.kafka

DEMO = [sys.executable, "-m", "services.demo"]


def test_the_demo_ends_by_itself_and_counts_one_verdict_each() -> None:
    done = subprocess.run(
        [*DEMO, "--seconds", "5"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every transaction got exactly one verdict." in done.stdout
    assert "HIGH_AMOUNT (rule high-amount, +100)" in done.stdout


def test_ctrl_c_ends_every_process_of_the_demo_with_a_summary(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with _demo(output) as demo:
        until(lambda: "legit" in output.read_text(encoding="utf-8"), "it runs")
        children = _descendants(demo.pid)
        assert len(children) == 4  # broker, generator, detector, console
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0
    assert "Every transaction got exactly one verdict." in output.read_text(encoding="utf-8")
    assert not any(_runs(pid) for pid in children)


def test_a_demo_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with _demo(output) as demo:
        until(lambda: "legit" in output.read_text(encoding="utf-8"), "it runs")
        children = _descendants(demo.pid)
    until(lambda: not any(_runs(pid) for pid in children), "all have ended", 10)


def test_an_edit_is_told_by_the_view(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    rule = rules / "rule.yaml"
    text = (
        "apiVersion: frauddetection.io/v1alpha1\nkind: FraudRule\nmetadata: {name: limit}\n"
        "spec: {expression: transaction.amount >= 900.0}\n"
    )
    rule.write_text(text, encoding="utf-8")
    output = tmp_path / "out"

    def shown(words: str, seconds: float = 60) -> None:
        until(lambda: words in output.read_text(encoding="utf-8"), words, seconds)

    with _demo(output, "--rules", str(rules)) as demo:
        shown("legit")
        rule.write_text(text.replace("900.0", "500.0"), encoding="utf-8")
        shown("rules changed: ruleset", 2)
        rule.write_text(text.replace("900.0", "500"), encoding="utf-8")
        shown("rule limit refused, its last good version decides", 2)
        shown("write 500.0")
        demo.send_signal(signal.SIGINT)
        assert demo.wait(60) == 0


@contextmanager
def _demo(output: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run the demo, and kill it at the end whatever became of it."""
    with output.open("wb") as out:
        demo = subprocess.Popen(
            [*DEMO, *arguments],
            stdout=out,
            stderr=out,
            start_new_session=True,
            preexec_fn=_as_in_a_terminal,
        )
    try:
        yield demo
    finally:
        demo.kill()
        demo.wait()


def _as_in_a_terminal() -> None:
    """Take SIGINT as a process does that a shell starts: one in the background has it ignored."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _descendants(pid: int) -> set[int]:
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:  # noqa: PTH123 - not a file on a disk
        direct = {int(child) for child in children.read().split()}
    return direct.union(*(_descendants(child) for child in direct))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:  # noqa: PTH123 - not a file on a disk
        return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
