"""The time zones in expressions: those of the pinned package tzdata, on every machine.

The evaluator reads a zone from a file in the folder TZDIR, by default the
system's (cctz, time_zone_info.cc). The zones of an image differ from those of a
laptop, or are missing, so importing this module sets TZDIR to the package's folder.
The evaluator would open any file that a name leads to, and it caches every name
it has seen. So names are first looked up in the package's own list.
"""

from __future__ import annotations

import difflib
import os
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

os.environ["TZDIR"] = str(files("tzdata") / "zoneinfo")

_OFFSET = re.compile(r"[-+]?(0?[0-9]|1[0-4]):[0-5][0-9]")
_HOURS = re.compile(r"(?:UTC|GMT)?([-+])([0-9]{1,2})")
_AS_IN = 'as in "Europe/Berlin", or an offset as in "+02:00"'


@cache
def _names() -> dict[str, str]:
    """Return each zone's name, by the name in lower case."""
    names = (files("tzdata") / "zones").read_text(encoding="utf-8").split()
    return {name.lower(): name for name in names}


def zone_problem(name: str) -> tuple[str, str] | None:
    """Find what is wrong with the name of a time zone, and a hint.

    Args:
        name: Name of the IANA database, or an offset as in +02:00.

    """
    known = _names()
    if known.get(name.lower()) == name or _OFFSET.fullmatch(name):
        return None
    message = f'found the time zone "{name}", expected a name of the IANA database'
    small = name.lower().replace(" ", "_")
    if small in known:
        return message, f'write "{known[small]}"'
    cities = {zone.rsplit("/", 1)[-1]: zone for zone in known if "/" in zone}
    if hours := _HOURS.fullmatch(name):
        return message, f'write "{hours[1]}{int(hours[2]):02d}:00"'
    meant = _near(small, known) or cities.get(small, "") or cities.get(_near(small, cities), "")
    return message, f'did you mean "{known[meant]}"?' if meant else f"write it {_AS_IN}"


def _near(name: str, names: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(name, names, n=1, cutoff=0.75)), "")
