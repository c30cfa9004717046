from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.shipped.chart_readme import readme, table

if TYPE_CHECKING:
    from pathlib import Path


def rows(values: str) -> list[str]:
    """The rows of the table, without its head."""
    return table(values).split("\n")[2:-1]


def test_a_value_is_described_by_the_comment_above_it() -> None:
    assert rows("# -- How many;\n# a | b.\nreplicas: 3\n") == [
        "| `replicas` | `3` | How many; a \\| b. |"
    ]


def test_parts_of_values_and_of_lists_have_rows_of_their_own() -> None:
    values = "# -- Pools.\npools:\n# -- A name.\n- name: a\n  # -- A size.\n  size: {x: 1}\n"
    assert rows(values) == [
        "| `pools` |  | Pools. |",
        "| `pools[].name` | `a` | A name. |",
        '| `pools[].size` | `{"x": 1}` | A size. |',
    ]


@pytest.mark.parametrize(
    "values",
    [
        "a: 1\n",
        "# about something else\na: 1\n",
        "# -- Of another.\n\na: 1\n",
        "# -- All.\nb:\n  # -- One.\n  c: 1\n  a: 2\n",
    ],
)
def test_a_value_without_a_comment_is_refused(values: str) -> None:
    with pytest.raises(ValueError, match=r"^(b\.)?a has no comment; write one above it"):
        table(values)


def test_what_people_wrote_is_kept(tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text("# -- A number.\na: 1\n", encoding="utf-8")
    written = "# Mine\n\n<!-- values -->\nold\n<!-- /values -->\n\nMore.\n"
    (tmp_path / "README.md").write_text(written, encoding="utf-8")
    made = readme(tmp_path)
    assert made.startswith("# Mine\n\n<!-- values -->\n| value |")
    assert made.endswith("| `a` | `1` | A number. |\n<!-- /values -->\n\nMore.\n")


@pytest.mark.parametrize("text", ["", "<!-- values -->", "<!-- /values --><!-- values -->"])
def test_a_readme_without_its_markers_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="expected one <!-- values --> and one <!-- /values -->"):
        readme(tmp_path)
