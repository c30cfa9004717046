"""Builds the Java application with Maven into the cache, and tells how to run it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.measure import RECURRING, Contender, Load
from tools.local_kafka import DistributionError
from tools.local_kafka.distribution import java
from tools.this_machine import cache_folder

VARIANTS = ("as-it-comes", "tuned", "heap")
_FOLDER = Path(__file__).parent
_MAIN = "io.frauddetection.bench.Main"
# Of the collectors of Java 17 this one takes the least CPU; pauses are not what is measured.
_OPTIONS = ("-Xms1g", "-Xmx1g", "-XX:+UseParallelGC", "-Xshare:auto")
_BUILD_SECONDS = 300.0


def contender(variant: str, load: Load = RECURRING) -> Contender:
    """Give a variant to measure, by default over the records of accounts that come back.

    Raises:
        DistributionError: as for `command`.

    """
    return Contender(f"Kafka Streams, {variant}", command(variant), {}, load)


def command(variant: str) -> tuple[str, ...]:
    """Build the application where it is not built yet, and give the command that runs a variant.

    It reads the environment that every contender gets, and runs until SIGTERM.

    Raises:
        DistributionError: Java or Maven is missing, or Maven could not build it.

    """
    folder = _built()
    logging = "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"
    path = f"{folder}/classes:{folder}/jars/*"
    return (java(), *_OPTIONS, logging, "-cp", path, _MAIN, variant)


def _built() -> Path:
    folder = cache_folder() / f"kafka-streams-{_fingerprint()}"
    if not folder.exists():
        sys.stderr.write(f"building the Kafka Streams contender with Maven into {folder} ...\n")
        _build(folder)
    return folder


def _fingerprint() -> str:
    """Name the sources by their content."""
    files = [_FOLDER / "pom.xml", *sorted(_FOLDER.rglob("*.java"))]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]


def _build(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise DistributionError("no mvn found; install Maven, which builds the contender")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Built beside its place and then renamed, so that a broken build is never taken for a whole.
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        target = Path(temporary, "build")
        goals = ["compile", "dependency:copy-dependencies", f"-DoutputDirectory={target}/jars"]
        done = subprocess.run(
            [maven, "-q", "-B", "-f", _FOLDER / "pom.xml", f"-Dbuild.folder={target}", *goals],
            capture_output=True,
            text=True,
            check=False,
            timeout=_BUILD_SECONDS,
        )
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).strip().split("\n")[:15])
            raise DistributionError(f"Maven could not build the contender:\n{tail}")
        try:
            target.rename(folder)
        except OSError:  # another process was quicker
            if not folder.exists():
                raise
