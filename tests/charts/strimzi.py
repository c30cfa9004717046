"""Strimzi's own CRDs, generated from its Java classes once into a cache outside the tree.

They are the complete schemas of a release, so that what an API server with them takes,
one with Strimzi takes too. The operator itself is not published as jars.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.streaming import until
from tools.local_kafka.distribution import java
from tools.local_kafka.jars import provide
from tools.local_kubernetes import ControlPlaneError
from tools.this_machine import locked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.local_kubernetes import ControlPlane

STRIMZI_KINDS = "kafka,kafkanodepool,kafkatopic,kafkauser"
_JARS = Path(__file__).with_name("strimzi.sha256")
_MODEL = "io.strimzi.api.kafka.model"
_CLASSES = ("kafka.Kafka", "nodepool.KafkaNodePool", "topic.KafkaTopic", "user.KafkaUser")
# What the generator was compiled for; Kafka itself runs on an older one.
_OLDEST_JAVA = 21


class StrimziError(Exception):
    """The generator of the CRDs failed; the text has its output."""


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
    """Return the folder with a YAML file for each CRD; it is generated if it is missing.

    Raises:
        DistributionError: There is no Java that is new enough, or a jar cannot be had.
        StrimziError: The generator failed.

    """
    jars = provide(_JARS)
    # Named by the list, so that another release gives another folder.
    folder = jars.with_name(jars.name.replace("jars", "crds"))
    with locked(folder.with_suffix(".lock")):
        if not folder.exists():
            sys.stderr.write(f"generating the CRDs of Strimzi into {folder} ...\n")
            _make(folder, jars)
    return folder


def _make(folder: Path, jars: Path) -> None:
    command = java(_OLDEST_JAVA)
    # Made beside its place and then renamed, so that a broken run is never taken for a whole.
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        crds = Path(temporary, "crds")
        crds.mkdir()
        generator = ["io.strimzi.crdgenerator.CrdGenerator", "--yaml", "--crd-api-version", "v1"]
        # It takes absolute paths alone.
        wanted = [f"{_MODEL}.{name}={crds / name.split('.')[1]}.yaml" for name in _CLASSES]
        _run(command, "-cp", f"{jars}/*", *generator, "--target-kube", "1.30+", *wanted)
        crds.rename(folder)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        tail = "\n".join((done.stdout + done.stderr).strip().split("\n")[:5])
        raise StrimziError(f"Strimzi's generator of CRDs failed:\n{tail}")
