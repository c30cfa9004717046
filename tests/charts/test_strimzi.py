from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.charts import strimzi
from tests.charts.strimzi import StrimziError, java, strimzi_crds

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with nothing but what is put into this folder."""
    for name in os.environ:
        if name.startswith("JAVA_HOME"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.setenv("FRAUD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(strimzi, "_JVM_FOLDERS", (f"{tmp_path}/jvm/*",))
    return tmp_path


def jvm(home: Path, version: str) -> Path:
    """A folder with a java that says a version and does nothing else."""
    command = home / "bin" / "java"
    command.parent.mkdir(parents=True)
    command.write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n", encoding="utf-8")
    command.chmod(0o755)
    return command


def test_a_java_beside_the_one_on_the_path_is_found(folder: Path) -> None:
    jvm(folder / "jvm" / "17", "17.0.15")
    newer = jvm(folder / "jvm" / "25", "25.0.1")
    assert java() == str(newer)


def test_a_java_named_by_the_environment_is_found(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = jvm(folder / "somewhere", "21.0.8")
    monkeypatch.setenv("JAVA_HOME_21_X64", str(folder / "somewhere"))
    assert java() == str(named)


def test_a_machine_with_older_javas_alone_is_told_which_it_has(folder: Path) -> None:
    older = jvm(folder / "jvm" / "17", "17.0.15")
    with pytest.raises(StrimziError) as caught:
        java()
    assert f"need Java 21 or newer; found: {older} (17)" in str(caught.value)


def test_a_machine_without_maven_is_told_to_install_it(folder: Path) -> None:
    jvm(folder / "jvm" / "25", "25.0.1")
    with pytest.raises(StrimziError, match="no mvn found; install Maven"):
        strimzi_crds()


def test_a_broken_run_leaves_nothing_behind(folder: Path) -> None:
    jvm(folder / "jvm" / "25", "25.0.1")
    maven = folder / "path" / "mvn"
    maven.parent.mkdir()
    maven.write_text("#!/bin/sh\necho '[ERROR] no such artifact'\nexit 1\n", encoding="utf-8")
    maven.chmod(0o755)
    with pytest.raises(StrimziError, match="no such artifact"):
        strimzi_crds()
    assert list((folder / "cache").iterdir()) == []
