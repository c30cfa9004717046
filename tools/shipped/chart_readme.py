"""A chart's README, with its values as a table made of the comments in values.yaml.

`python -m tools.shipped.chart_readme charts/NAME` prints it. The text between `<!-- values -->` and
`<!-- /values -->` is generated; the rest is kept as people wrote it. A test of the chart fails if
README.md differs.

A comment that begins with `# --` describes the value in the line below it. Every value has one, or
is part of one that is described as a whole: a mapping of which no part has a comment.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BEGIN, END = "<!-- values -->", "<!-- /values -->"
_HEAD = "| value | default | meaning |\n| --- | --- | --- |\n"
_MARK = "# --"


class Row(NamedTuple):
    """A value: its path, its default ("" if its parts have defaults), and its meaning."""

    path: str
    default: str
    meaning: str


def readme(chart: Path) -> str:
    """Write the README of a chart's folder as it should be today.

    Raises:
        ValueError: README.md does not have each marker once, in order; or a value has no comment.

    """
    path = chart / "README.md"
    text = path.read_text("utf-8") if path.exists() else _new(chart)
    before, begin, rest = text.partition(BEGIN)
    old, end, after = rest.partition(END)
    if not end or BEGIN in old + after or END in after:
        raise ValueError(f"{path}: expected one {BEGIN} and one {END} after it; put them in")
    return f"{before}{begin}\n{table((chart / 'values.yaml').read_text('utf-8'))}{end}{after}"


def table(values: str) -> str:
    """Write the table of the values in the text of a values.yaml.

    Raises:
        ValueError: a value has no comment.

    """
    lines = values.split("\n")
    return _HEAD + "".join(
        f"| `{row.path}` | {row.default} | {row.meaning.replace('|', chr(92) + '|')} |\n"
        for row in _rows("", yaml.compose(values, yaml.SafeLoader), lines)
    )


def _new(chart: Path) -> str:
    about = yaml.safe_load((chart / "Chart.yaml").read_text("utf-8"))
    return f"# {about['name']}\n\n{about['description']}.\n\n{BEGIN}\n{END}\n"


def _rows(path: str, node: yaml.Node | None, lines: Sequence[str]) -> Iterator[Row]:
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _rows(f"{path}[]", child, lines)
        return
    if not isinstance(node, yaml.MappingNode):
        raise TypeError(f"{path} is {node}; expected a mapping")
    for key, value in node.value:
        name = f"{path}.{key.value}".lstrip(".")
        meaning = _comment(key.start_mark.line, lines)
        if not meaning:
            raise ValueError(f"{name} has no comment; write one above it that begins with {_MARK}")
        if _described(value, lines):
            yield Row(name, "", meaning)
            yield from _rows(name, value, lines)
        else:
            yield Row(name, f"`{_default(value)}`", meaning)


def _described(node: yaml.Node, lines: Sequence[str]) -> bool:
    """Return True if parts of a value have their own comments."""
    if isinstance(node, yaml.CollectionNode) and node.flow_style:  # all in the line of its key
        return False
    if isinstance(node, yaml.SequenceNode):
        return any(_described(child, lines) for child in node.value)
    return isinstance(node, yaml.MappingNode) and any(
        _comment(key.start_mark.line, lines) or _described(value, lines)
        for key, value in node.value
    )


def _comment(line: int, lines: Sequence[str]) -> str:
    """Return the comment above a line (counted from 0) as one line; "" without one."""
    above: list[str] = []
    for text in reversed(lines[:line]):
        stripped = text.strip()
        if not stripped.startswith("#"):
            return ""
        above.insert(0, stripped.removeprefix(_MARK).removeprefix("#").strip())
        if stripped.startswith(_MARK):
            return " ".join(above)
    return ""


def _default(node: yaml.Node) -> str:
    value: Any = yaml.safe_load(yaml.serialize(node))
    return value if isinstance(value, str) and value else json.dumps(value)


if __name__ == "__main__":
    sys.stdout.write(readme(Path(sys.argv[1])))
