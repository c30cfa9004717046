from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cluster.page import commands, headings

if TYPE_CHECKING:
    from pathlib import Path

TEXT = """\
# Page

## One

```console
$ first a
printed
$ second
```

### Within

```yaml
$ no: command
```

```console
$ third
```

### Beside

## Two

```console
printed
```
"""


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.md"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_commands_are_the_lines_with_a_prompt_down_to_the_next_heading(page: Path) -> None:
    assert commands(page, "One") == [["first a", "second"], ["third"]]
    assert commands(page, "Within") == [["third"]]
    assert commands(page, "Beside") == []


def test_headings_are_those_one_level_below(page: Path) -> None:
    assert headings(page, "Page") == ["One", "Two"]
    assert headings(page, "One") == ["Within", "Beside"]


@pytest.mark.parametrize(("heading", "said"), [("Three", "no heading"), ("Two", "has no command")])
def test_a_page_that_has_none_is_refused(page: Path, heading: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        commands(page, heading)
