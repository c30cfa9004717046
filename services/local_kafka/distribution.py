"""Apache Kafka's jars, fetched with Maven once into a cache outside the tree."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from services.this_machine import cache_folder

VERSION = "4.3.1"
_POM = Path(__file__).with_name("pom.xml")
_OLDEST_JAVA = 17


class DistributionError(Exception):
    """Kafka cannot be had on this machine; the text says what is missing."""


def kafka_jars() -> Path:
    """Give the folder with the broker's jars, fetching them when it is not there.

    Raises:
        DistributionError: Maven is missing, or could not fetch.

    """
    folder = cache_folder() / f"kafka-{VERSION}"
    if not folder.exists():
        sys.stderr.write(f"fetching Apache Kafka {VERSION} with Maven into {folder} (55 MB) ...\n")
        _fetch(folder)
    return folder


def java() -> str:
    """Give the java to run.

    Raises:
        DistributionError: there is none, or it is older than Kafka needs.

    """
    home = os.environ.get("JAVA_HOME")
    command = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if command is None or not Path(command).exists():
        raise DistributionError(f"no java found; install Java {_OLDEST_JAVA} or newer")
    said = subprocess.run([command, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', said)
    if version is None or int(version[1]) < _OLDEST_JAVA:
        found = said.split("\n")[0] or "nothing it said"
        raise DistributionError(f"{command} is {found}; Kafka needs Java {_OLDEST_JAVA} or newer")
    return command


def _fetch(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise DistributionError("no mvn found; install Maven, which fetches Apache Kafka")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Fetched beside its place and then renamed, so that a broken fetch is never taken for a whole.
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={temporary}/jars"]
        done = subprocess.run(
            [maven, "-q", "-B", "-f", str(_POM), *goal], capture_output=True, text=True, check=False
        )
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).strip().split("\n")[:5])
            raise DistributionError(f"Maven could not fetch Apache Kafka {VERSION}:\n{tail}")
        try:
            Path(temporary, "jars").rename(folder)
        except OSError:  # another process was quicker
            if not folder.exists():
                raise
