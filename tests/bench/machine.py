"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

from tests.bench.measure import cpu_seconds
from tools.local_kafka import VERSION


def machine(*packages: str) -> str:
    """Describe this machine, and the versions of Kafka, Python and some packages."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n")
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    parts = [f"{name} {version(name)}" for name in packages]
    return (
        f"{os.cpu_count()} cores of {cpu}, Linux {platform.release().split('-')[0]}, "
        f"Python {platform.python_version()}, Apache Kafka {VERSION}, {', '.join(parts)}"
    )


class Others:
    """How much of the machine's CPU other processes take, from now on.

    What counts as ours is this process, its children that have ended, and those
    that are named.
    """

    def __init__(self, *pids: int) -> None:
        self._pids = pids
        self._begun = self._now()

    @property
    def share(self) -> float:
        """Of all the CPU time that there was."""
        busy, ours, there_was = (b - a for a, b in zip(self._begun, self._now(), strict=True))
        return max(busy - ours, 0.0) / there_was

    def _now(self) -> tuple[float, float, float]:
        """Seconds that the machine was busy, that we were, and that there were."""
        line = Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0]
        ticks = os.sysconf("SC_CLK_TCK")
        # user, nice, system, idle, iowait, irq, softirq, steal
        spent = [int(text) / ticks for text in line.split()[1:9]]
        ours = sum(os.times()[:4]) + sum(map(cpu_seconds, self._pids))
        return sum(spent) - spent[3] - spent[4], ours, sum(spent)
