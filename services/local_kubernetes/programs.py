"""Kubernetes' own programs, Helm and skaffold, built from Go modules once into a cache.

The cache is outside the tree. The modules and their versions are in go.mod beside the names of the
programs; go.sum holds the hash of every source, so what is built is what was chosen.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NamedTuple

from services.this_machine import cache_folder

_MODULES = Path(__file__).parent
# How often the build says that it goes on.
_SAY_EVERY_SECONDS = 20.0
_OLDEST_GO = (1, 24)


class ProgramError(Exception):
    """A program cannot be had on this machine; the text says what is missing."""


class Source(NamedTuple):
    """Where a program comes from: the folder with its go.mod, the module, the package in it."""

    folder: str
    module: str
    package: str
    version_variable: str = ""
    # Others, as name=value.
    variables: tuple[str, ...] = ()
    # Programs of one group are built by one command, as they share most of their code.
    group: str = ""


_HELM = "helm.sh/helm/v3"
_SKAFFOLD = "github.com/GoogleContainerTools/skaffold/v2"
_KUBERNETES = "k8s.io/kubernetes"
_KUBERNETES_PROGRAMS = {
    "api": ("kube-apiserver", "kubectl"),
    # For a node that runs pods: not wanted by whoever only needs the API.
    "node": ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"),
}
_SOURCES = {
    "etcd": Source("etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"),
    "helm": Source(
        "helm",
        _HELM,
        f"{_HELM}/cmd/helm",
        f"{_HELM}/internal/version.version",
        # The Kubernetes that it renders for when it asks no server: that of its libraries, as its
        # own Makefile has it. Without these it is 1.20, which charts of today refuse.
        (
            f"{_HELM}/pkg/chartutil.k8sVersionMinor=37",
            f"{_HELM}/pkg/lint/rules.k8sVersionMinor=37",
        ),
    ),
    **{
        name: Source(
            "kubernetes",
            _KUBERNETES,
            f"{_KUBERNETES}/cmd/{name}",
            "k8s.io/component-base/version.gitVersion",
            group=group,
        )
        for group, names in _KUBERNETES_PROGRAMS.items()
        for name in names
    },
    **{
        name: Source("pods", "github.com/coredns/coredns", f"./{name}", group="pods")
        for name in ("coredns", "pause")
    },
    "skaffold": Source(
        "skaffold",
        _SKAFFOLD,
        f"{_SKAFFOLD}/cmd/skaffold",
        f"{_SKAFFOLD}/pkg/skaffold/version.version",
    ),
}


def program(name: str) -> Path:
    """Give the path of a program, building it when it is not in the cache.

    Raises:
        ProgramError: there is no Go, or the build failed.

    """
    source = _SOURCES[name]
    version = version_of(source)
    folder = cache_folder() / f"{source.folder}-{version.removeprefix('v')}"
    if not (folder / name).exists():
        _build(source, version, folder)
    return folder / name


def version_of(source: Source) -> str:
    """Read a module's version from its go.mod."""
    text = (_MODULES / source.folder / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"{re.escape(source.module)} (v\S+)", text)
    if found is None:
        raise ProgramError(f"{source.folder}/go.mod does not require {source.module}")
    return found[1]


def _build(source: Source, version: str, folder: Path) -> None:
    go = _go()
    names = [
        name
        for name, other in _SOURCES.items()
        if (other.folder, other.group) == (source.folder, source.group)
    ]
    sys.stderr.write(
        f"building {', '.join(names)} {version} with Go into {folder} (minutes, once) ...\n"
    )
    folder.mkdir(parents=True, exist_ok=True)
    # Built beside its place and then renamed, so that a broken build is never taken for a whole.
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        # With several Go takes a folder, and calls each by its package.
        target = Path(temporary, names[0]) if len(names) == 1 else Path(temporary)
        _compile(go, source, version, names, target)
        for name in names:
            Path(temporary, name).replace(folder / name)


def _compile(go: str, source: Source, version: str, names: list[str], target: Path) -> None:
    flags = "-s -w"
    if source.version_variable:
        flags += f" -X {source.version_variable}={version}"
    flags += "".join(f" -X {variable}" for variable in source.variables)
    command = [go, "build", "-trimpath", "-ldflags", flags, "-o", str(target)]
    command += [_SOURCES[name].package for name in names]
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-buildvcs=false -mod=readonly"}
    words = ", ".join(names)
    with _progress(words):
        done = subprocess.run(
            command,
            cwd=_MODULES / source.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        tail = "\n".join(done.stderr.strip().split("\n")[-10:])
        raise ProgramError(f"Go could not build {words} {version}:\n{tail}")


class _progress:  # noqa: N801 - reads as the word it is in a `with`
    """Say once in a while that a build goes on."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._done = threading.Event()
        self._begun = time.monotonic()

    def __enter__(self) -> None:
        threading.Thread(target=self._say, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        sys.stderr.write(f"  {self._name}: {time.monotonic() - self._begun:.0f} s\n")

    def _say(self) -> None:
        while not self._done.wait(_SAY_EVERY_SECONDS):
            sys.stderr.write(f"  {self._name}: {time.monotonic() - self._begun:.0f} s so far\n")


def _go() -> str:
    go = shutil.which("go")
    least = ".".join(map(str, _OLDEST_GO))
    if go is None:
        raise ProgramError(f"no go found; install Go {least} or newer, which builds Kubernetes")
    said = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"go(\d+)\.(\d+)", said)
    if found is None or (int(found[1]), int(found[2])) < _OLDEST_GO:
        raise ProgramError(f"{go} is {said.strip() or 'mute'}; Go {least} or newer is needed")
    return go
