"""Address of the Maven repository, as Maven itself would choose it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from tools.local_kafka.errors import DistributionError

if TYPE_CHECKING:
    from collections.abc import Iterator

# Maven's own default: `central` in its super POM.
_CENTRAL = "https://repo.maven.apache.org/maven2"


def repository() -> str:
    """Return MAVEN_REPOSITORY, a mirror that Maven's settings name, or Maven Central.

    The address has no slash at its end.

    Raises:
        DistributionError: Maven's settings cannot be read.

    """
    found = os.environ.get("MAVEN_REPOSITORY") or next(_mirrors(), _CENTRAL)
    return found.rstrip("/")


def local_repository() -> Path:
    """Return the folder in which Maven keeps what it has downloaded."""
    return Path.home() / ".m2" / "repository"


def _mirrors() -> Iterator[str]:
    """Return mirrors of `central` in the user's settings, those that name it first.

    Source: https://maven.apache.org/guides/mini/guide-mirror-settings.html
    """
    settings = Path.home() / ".m2" / "settings.xml"
    if not settings.exists():
        return
    try:
        root = ET.parse(settings).getroot()  # noqa: S314 - a file of the user
    except (ET.ParseError, OSError) as error:
        raise DistributionError(
            f"{settings} cannot be read as XML: {error}; "
            "correct it, or set MAVEN_REPOSITORY to the address of a Maven repository"
        ) from None
    mirrors = [
        (
            [name.strip() for name in mirror.findtext("{*}mirrorOf", "").split(",")],
            mirror.findtext("{*}url", "").strip(),
        )
        for mirror in root.iterfind("{*}mirrors/{*}mirror")
        if mirror.findtext("{*}blocked", "").strip() != "true"
    ]
    yield from (url for names, url in mirrors if names == ["central"])
    yield from (url for names, url in mirrors if _matches(names))


def _matches(names: list[str]) -> bool:
    """True if a `mirrorOf` includes `central`."""
    return "!central" not in names and not {"*", "central", "external:*"}.isdisjoint(names)
