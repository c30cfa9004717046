"""The CRDs of KEDA, cert-manager and the Prometheus operator, as their Go modules carry them.

They are the complete schemas of a release. Go keeps modules in a cache of its own, by version, and
compares what it fetched with go.sum.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.charts.strimzi import install_crds, install_definitions
from tools.local_kubernetes.programs import go

if TYPE_CHECKING:
    from tools.local_kubernetes import ControlPlane

_MODULES = Path(__file__).with_name("foreign_modules")
# By module: the folder of its definitions, and those that are wanted: all of them are megabytes.
_WANTED = {
    "github.com/kedacore/keda/v2": (
        "config/crd/bases",
        ("keda.sh_scaledobjects", "keda.sh_triggerauthentications"),
    ),
    "github.com/cert-manager/cert-manager": (
        "deploy/crds",
        ("cert-manager.io_certificates", "cert-manager.io_issuers"),
    ),
    "github.com/prometheus-operator/prometheus-operator": (
        "example/prometheus-operator-crd",
        (
            "monitoring.coreos.com_podmonitors",
            "monitoring.coreos.com_prometheusrules",
            "monitoring.coreos.com_servicemonitors",
        ),
    ),
}


class ForeignError(Exception):
    """Go could not fetch the definitions; the text has its output."""


def install_all_crds(api: ControlPlane) -> None:
    """Have an API server take the resources of all whose objects the charts make."""
    install_crds(api)
    files = foreign_crds()
    install_definitions(api, files, [_resource(file) for file in files])


def foreign_crds() -> list[Path]:
    """Give a YAML file for each definition, fetching the modules when Go does not have them.

    Raises:
        ProgramError: No Go is new enough.
        ForeignError: A module cannot be had, or it is not the one of go.sum.

    """
    done = subprocess.run(
        [go(), "mod", "download", "-json", *_WANTED],
        cwd=_MODULES,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join((done.stderr or done.stdout).strip().split("\n")[:10])
        raise ForeignError(f"Go could not fetch the definitions:\n{tail}")
    folders = _folders(done.stdout)
    return [
        folders[module] / folder / f"{name}.yaml"
        for module, (folder, names) in _WANTED.items()
        for name in names
    ]


def _folders(text: str) -> dict[str, Path]:
    """Where each module is, of the objects that Go writes one after the other."""
    found, decoder = {}, json.JSONDecoder()
    while text := text.strip():
        module, end = decoder.raw_decode(text)
        found[module["Path"]] = Path(module["Dir"])
        text = text[end:]
    return found


def _resource(file: Path) -> str:
    """The resource as kubectl names it, as in podmonitors.monitoring.coreos.com."""
    group, _, plural = file.stem.partition("_")
    return f"{plural}.{group}"
