"""Strimzi's own CRDs, generated from its Maven artifacts once into a cache outside the tree.

They are the complete schemas of a release, so that what an API server with them takes,
one with Strimzi takes too. The operator itself is not to be had from Maven.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from services.local_kubernetes import ControlPlaneError
from services.this_machine import cache_folder
from tests.streaming import until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from services.local_kubernetes import ControlPlane

VERSION = "1.2.0"
STRIMZI_KINDS = "kafka,kafkanodepool,kafkatopic,kafkauser"
_POM = Path(__file__).with_name("strimzi-pom.xml")
_MODEL = "io.strimzi.api.kafka.model"
_CLASSES = ("kafka.Kafka", "nodepool.KafkaNodePool", "topic.KafkaTopic", "user.KafkaUser")
# What the generator was compiled for; Kafka itself runs on an older one.
_OLDEST_JAVA = 21
# Where systems and their package managers keep JVMs that need not be on the path.
_JVM_FOLDERS = (
    "/usr/lib/jvm/*",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home",
    "~/.sdkman/candidates/java/*",
)


class StrimziError(Exception):
    """The CRDs cannot be had on this machine; the text says what is missing."""


def install_crds(api: ControlPlane) -> None:
    """Have an API server take Strimzi's resources."""
    install_definitions(api, [strimzi_crds()], STRIMZI_KINDS.split(","))


def install_definitions(api: ControlPlane, places: Sequence[Path], resources: list[str]) -> None:
    """Apply files and folders of CRDs, and wait until all of their resources are served."""

    def served() -> bool:
        # Not `kubectl wait`: it fails on a definition that is too new to have any condition.
        try:
            api.kubectl("get", ",".join(resources), "--all-namespaces")
        except ControlPlaneError:
            return False
        return True

    api.kubectl("apply", "--server-side", *(f"--filename={place}" for place in places))
    until(served, f"{', '.join(resources)} are served")


def strimzi_crds() -> Path:
    """Give the folder with a YAML file for each CRD, generating them when they are not there.

    Raises:
        StrimziError: Maven or a Java is missing, or one of them failed.

    """
    folder = cache_folder() / f"strimzi-crds-{VERSION}"
    if not folder.exists():
        sys.stderr.write(f"generating the CRDs of Strimzi {VERSION} with Maven into {folder} ...\n")
        _make(folder)
    return folder


def java() -> str:
    """Give a java that is new enough, wherever it is.

    Raises:
        StrimziError: there is none.

    """
    seen = []
    for command in _javas():
        said = subprocess.run(
            [command, "-version"], capture_output=True, text=True, check=False
        ).stderr
        version = re.search(r'version "(\d+)', said)
        if version and int(version[1]) >= _OLDEST_JAVA:
            return command
        seen.append(f"{command} ({version[1] if version else 'mute'})")
    found = ", ".join(seen) or "none"
    raise StrimziError(
        f"Strimzi's CRDs need Java {_OLDEST_JAVA} or newer; found: {found}. "
        f"Install one, or name its folder in JAVA_HOME_{_OLDEST_JAVA}"
    )


def _javas() -> Iterator[str]:
    """Every java of this machine once: named by the environment, on the path, installed."""
    homes = [
        Path(value) for name, value in os.environ.items() if re.match(r"JAVA_HOME(_\d+|$)", name)
    ]
    commands = [home / "bin" / "java" for home in homes]
    if on_path := shutil.which("java"):
        commands.append(Path(on_path))
    for pattern in _JVM_FOLDERS:
        whole = Path(pattern).expanduser()
        within = whole.relative_to(whole.anchor)
        commands += [home / "bin" / "java" for home in sorted(Path(whole.anchor).glob(str(within)))]
    yield from dict.fromkeys(str(each.resolve()) for each in commands if each.exists())


def _make(folder: Path) -> None:
    command, maven = java(), shutil.which("mvn")
    if maven is None:
        raise StrimziError("no mvn found; install Maven, which fetches Strimzi's classes")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Made beside its place and then renamed, so that a broken run is never taken for a whole.
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        jars, crds = Path(temporary, "jars"), Path(temporary, "crds")
        crds.mkdir()
        goal = ["dependency:copy-dependencies", f"-DoutputDirectory={jars}"]
        _run(maven, "-q", "-B", "-f", str(_POM), f"-Dstrimzi.version={VERSION}", *goal)
        generator = ["io.strimzi.crdgenerator.CrdGenerator", "--yaml", "--crd-api-version", "v1"]
        # It takes absolute paths alone.
        wanted = [f"{_MODEL}.{name}={crds / name.split('.')[1]}.yaml" for name in _CLASSES]
        _run(command, "-cp", f"{jars}/*", *generator, "--target-kube", "1.30+", *wanted)
        try:
            crds.rename(folder)
        except OSError:  # another process was quicker
            if not folder.exists():
                raise


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().split("\n")[:5])
        raise StrimziError(f"the CRDs of Strimzi {VERSION} were not made:\n{tail}")
