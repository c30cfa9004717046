from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.local_kafka.errors import DistributionError
from tools.local_kafka.repository import repository

if TYPE_CHECKING:
    from pathlib import Path

CENTRAL = "https://repo.maven.apache.org/maven2"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder that is empty, with nothing in the environment."""
    monkeypatch.delenv("MAVEN_REPOSITORY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".m2").mkdir()
    return tmp_path


def settings(home: Path, *mirrors: tuple[str, str], more: str = "", namespace: str = "") -> None:
    text = "".join(
        f"<mirror><id>{n}</id><mirrorOf>{of}</mirrorOf><url>{url}</url>{more}</mirror>"
        for n, (of, url) in enumerate(mirrors)
    )
    (home / ".m2/settings.xml").write_text(
        f"<settings{namespace}><mirrors>{text}</mirrors></settings>", encoding="utf-8"
    )


@pytest.mark.usefixtures("home")
def test_it_is_central_where_nothing_names_another() -> None:
    assert repository() == CENTRAL


@pytest.mark.parametrize(
    ("of", "taken"),
    [
        ("*", True),
        ("central", True),
        ("external:*", True),
        ("snapshots, central", True),
        ("*,!central", False),
        ("external:http:*", False),
        ("snapshots", False),
    ],
)
def test_a_mirror_is_taken_where_maven_would_take_it(of: str, taken: bool, home: Path) -> None:
    settings(home, (of, "https://mirror.example/maven/"))
    assert repository() == ("https://mirror.example/maven" if taken else CENTRAL)


def test_a_mirror_that_names_central_comes_before_the_first_of_all(home: Path) -> None:
    settings(home, ("*", "https://all.example"), ("central", "https://central.example"))
    assert repository() == "https://central.example"


def test_a_blocked_mirror_is_not_taken(home: Path) -> None:
    settings(home, ("*", "https://mirror.example"), more="<blocked>true</blocked>")
    assert repository() == CENTRAL


def test_settings_with_their_namespace_are_read(home: Path) -> None:
    namespace = ' xmlns="http://maven.apache.org/SETTINGS/1.2.0"'
    settings(home, ("*", "https://mirror.example"), namespace=namespace)
    assert repository() == "https://mirror.example"


def test_the_variable_comes_before_the_settings(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings(home, ("*", "https://mirror.example"))
    monkeypatch.setenv("MAVEN_REPOSITORY", "https://own.example/maven2/")
    assert repository() == "https://own.example/maven2"


def test_settings_that_are_not_xml_are_named(home: Path) -> None:
    (home / ".m2/settings.xml").write_text("<settings>", encoding="utf-8")
    with pytest.raises(
        DistributionError, match=r"settings.xml cannot be read as XML: .*correct it"
    ):
        repository()
