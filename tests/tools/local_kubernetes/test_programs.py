"""Where Go comes from, and who builds with it."""

from __future__ import annotations

import importlib
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools.local_kubernetes import ProgramError, program, programs
from tools.local_kubernetes.programs import go

if TYPE_CHECKING:
    from tools.local_kubernetes.programs import Source

PACKAGED = Path(str(importlib.import_module("go").__file__)).with_name("bin") / "go"
HELLO = 'package main\n\nimport "fmt"\n\nfunc main() { fmt.Print("hello") }\n'


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of the path, and empty."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def printing(command: Path, text: str) -> None:
    """A program that prints a text and does nothing else."""
    command.write_text(f"#!/bin/sh\necho '{text}'\n", encoding="utf-8")
    command.chmod(0o755)


@pytest.mark.kubernetes
@pytest.mark.usefixtures("path")
def test_a_machine_without_go_builds_with_the_one_from_pypi(tmp_path: Path) -> None:
    """It costs the compiling of Go's standard library, a minute on two busy cores."""
    assert go() == str(PACKAGED)
    (tmp_path / "main.go").write_text(HELLO, encoding="utf-8")
    environment = {"CGO_ENABLED": "0", "GOCACHE": str(tmp_path / "cache"), "GOPATH": str(tmp_path)}
    subprocess.run([go(), "build", "main.go"], cwd=tmp_path, env=environment, check=True)
    done = subprocess.run([tmp_path / "main"], capture_output=True, text=True, check=True)
    assert done.stdout == "hello"


@pytest.mark.parametrize(
    ("version", "taken"), [("go1.19.8", False), ("go1.25.9", False), ("go1.26", True)]
)
def test_a_go_on_the_path_is_taken_from_1_26_on(version: str, taken: bool, path: Path) -> None:
    printing(path / "go", f"go version {version} linux/amd64")
    assert go() == str(path / "go" if taken else PACKAGED)


def test_where_all_are_too_old_the_message_has_them(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    printing(path / "go", "go version go1.19.8 linux/amd64")
    monkeypatch.setattr(programs, "_OLDEST_GO", (9, 0))
    with pytest.raises(ProgramError) as caught:
        go()
    assert f"{path / 'go'} (go1.19), {PACKAGED} (go1.26); expected 9.0" in str(caught.value)


def test_who_needs_a_program_that_another_builds_waits_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built: list[str] = []

    def compiling(_go: str, _source: Source, _: str, names: list[str], target: Path) -> None:
        time.sleep(0.2)  # two that began at once would overlap
        built.extend(names)
        target.write_bytes(b"")

    monkeypatch.setenv("FRAUD_CACHE", str(tmp_path))
    monkeypatch.setattr(programs, "_compile", compiling)
    threads = [threading.Thread(target=program, args=("etcd",)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert built == ["etcd"]
    assert program("etcd").exists()
