from __future__ import annotations

import os
from pathlib import Path

import pytest

from services.local_kafka import DistributionError
from services.local_kafka.distribution import VERSION, java, kafka_jars
from services.this_machine import cache_folder

# In place of Maven, so that what goes wrong with it can be had at will.
WORKING_MAVEN = """#!/bin/sh
for word; do case $word in -DoutputDirectory=*) folder=${word#*=};; esac; done
mkdir -p "$folder" && touch "$folder/kafka.jar" && echo run >> "$COUNT"
"""
BROKEN_MAVEN = """#!/bin/sh
for word; do case $word in -DoutputDirectory=*) folder=${word#*=};; esac; done
mkdir -p "$folder" && touch "$folder/half.jar"
echo '[ERROR] the registry cannot be reached' && exit 1
"""


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("FRAUD_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


def test_the_jars_are_fetched_once_and_the_wait_is_said(
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    program(tmp_path / "bin", "mvn", WORKING_MAVEN)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    folders = {kafka_jars(), kafka_jars()}
    assert folders == {cache / f"kafka-{VERSION}"}
    assert (tmp_path / "count").read_text(encoding="utf-8") == "run\n"
    assert capsys.readouterr().err.startswith(f"fetching Apache Kafka {VERSION} with Maven")
    assert [path.name for path in folders.pop().iterdir()] == ["kafka.jar"]


def test_a_broken_fetch_leaves_nothing_behind(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", "mvn", BROKEN_MAVEN)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(DistributionError, match="the registry cannot be reached"):
        kafka_jars()
    assert list(cache.iterdir()) == []


@pytest.mark.usefixtures("cache")
def test_a_machine_without_maven_is_told_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DistributionError, match="no mvn found; install Maven"):
        kafka_jars()


def test_a_machine_without_java_is_told_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DistributionError, match="no java found; install Java 17 or newer"):
        java()


@pytest.mark.parametrize(
    ("version", "good"), [("1.8.0_402", False), ("11.0.2", False), ("17.0.1", True), ("25", True)]
)
def test_java_is_taken_from_17_on(
    version: str, good: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "bin", "java", f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    if good:
        assert java() == str(tmp_path / "bin" / "java")
    else:
        with pytest.raises(DistributionError, match=rf'"{version}"; Kafka needs Java 17 or newer'):
            java()


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
