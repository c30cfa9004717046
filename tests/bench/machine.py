"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

from services.local_kafka import VERSION


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
