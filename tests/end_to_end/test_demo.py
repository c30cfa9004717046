"""The main job, as `make demo` runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.support.streaming import until
from tools.this_machine import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.kafka

DEMO = [sys.executable, "-m", "tools.demo"]
# A busy machine starts a broker and three services in this time.
BUSY_SECONDS = 300.0
RULE = """\
apiVersion: frauddetection.io/v1alpha1
kind: FraudRule
metadata: {name: limit}
spec: {expression: transaction.amount >= 900.0}
"""


def test_the_demo_ends_by_itself_and_counts_one_verdict_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Java, Maven and Go, and with a time in which no fraud can be shown."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    done = subprocess.run(
        [*DEMO, "--seconds", "0.1"], capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every transaction got exactly one verdict." in done.stdout
    assert "HIGH_AMOUNT (rule high-amount, +100)" in done.stdout


def test_a_demo_whose_rules_find_no_fraud_ends_too(tmp_path: Path) -> None:
    rule = tmp_path / "rule.yaml"
    rule.write_text(RULE.replace("900.0", "1e15"), encoding="utf-8")
    done = subprocess.run(
        [*DEMO, "--seconds", "0.1", "--rate", "max", "--rules", str(rule)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 fraud" in done.stdout


def test_ctrl_c_ends_every_process_of_the_demo_with_a_summary(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with _demo(output) as demo:
        until(lambda: "legit" in output.read_text(encoding="utf-8"), "it runs", BUSY_SECONDS)
        children = _descendants(demo.pid)
        assert len(children) == 4  # broker, generator, detector, console
        demo.send_signal(signal.SIGINT)
        assert demo.wait(BUSY_SECONDS) == 0
    assert "Every transaction got exactly one verdict." in output.read_text(encoding="utf-8")
    assert not any(_runs(pid) for pid in children)


def test_a_demo_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    output = tmp_path / "out"
    with _demo(output) as demo:
        until(lambda: "legit" in output.read_text(encoding="utf-8"), "it runs", BUSY_SECONDS)
        children = _descendants(demo.pid)
    until(lambda: not any(_runs(pid) for pid in children), "all have ended")


def test_an_edit_is_told_by_the_view(tmp_path: Path) -> None:
    rules = tmp_path / "rules"
    rules.mkdir()
    rule = rules / "rule.yaml"
    rule.write_text(RULE, encoding="utf-8")
    output = tmp_path / "out"

    def shown(words: str) -> None:
        until(lambda: words in output.read_text(encoding="utf-8"), words, BUSY_SECONDS)

    def write(text: str) -> None:
        """Write it whole: on a busy machine an empty file could stay for a while."""
        new = tmp_path / "new"
        new.write_text(text, encoding="utf-8")
        new.replace(rule)

    with _demo(output, "--rules", str(rules)) as demo:
        shown("legit")
        write(RULE.replace("900.0", "500.0"))
        shown("rules changed: ruleset")
        write(RULE.replace("900.0", "500"))
        shown("rule limit rejected, its last good version stays in force")
        shown("write 500.0")
        demo.send_signal(signal.SIGINT)
        assert demo.wait(BUSY_SECONDS) == 0


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
