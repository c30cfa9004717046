"""The commands of a page of the documentation, as a reader would copy them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PROMPT = "$ "


def headings(page: Path, under: str) -> list[str]:
    """The headings one level below another one."""
    body, level = _section(page.read_text("utf-8"), under)
    return re.findall(rf"^{'#' * (level + 1)} (.+)$", body, re.MULTILINE)


def commands(page: Path, heading: str) -> list[list[str]]:
    """The commands below a heading, of each console block in turn.

    Raises:
        ValueError: there is no such heading, or a block has a line that is neither a command nor
            what one printed.

    """
    body, _ = _section(page.read_text("utf-8"), heading)
    blocks = re.findall(r"^```console\n(.*?)^```$", body, re.MULTILINE | re.DOTALL)
    found = [
        [line.removeprefix(_PROMPT) for line in block.splitlines() if line.startswith(_PROMPT)]
        for block in blocks
    ]
    if not all(found):
        raise ValueError(f"{page}: a block below {heading!r} has no command; begin it with $")
    return found


def _section(text: str, heading: str) -> tuple[str, int]:
    """What is below a heading, up to the next of its level, and that level."""
    begin = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    if begin is None:
        raise ValueError(f"no heading {heading!r}")
    level = len(begin[1])
    end = re.compile(rf"^#{{1,{level}}} ", re.MULTILINE).search(text, begin.end())
    return text[begin.end() : end.start() if end else len(text)], level
