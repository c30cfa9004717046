"""The texts that people read avoid the words of `WORDS`, for which plain English has better ones.

Checked are the pages of the root and of docs, the charts' READMEs and the comments in their values,
the descriptions of the resource, and the docstrings and comments of services and tools. Not checked
are code in them (between backticks or fences), quoted messages in pages, and pages that are
generated from texts in the code.
"""

from __future__ import annotations

import io
import re
import tokenize
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

# A regular expression of a word or phrase to avoid, in lower case, and what to write instead. A
# space in it is any white space, also a line break. Add an entry once the texts are free of it.
WORDS: dict[str, str] = {
    # What code does.
    r"told": "shown, reported, logged",
    r"tells?": "shows, reports, distinguishes",
    r"said": "reported, printed",
    r"says?(?!:)": "reports, names, prints",
    r"com(?:es?|ing) to|came to": "has the value, becomes",
    r"goes on|go on|going on|went on": "continues",
    r"gives? up|given up|gave up": "aborts, abandons, releases",
    r"handed on|hands? on": "passes",
    r"looks? after|looked after|looking after": "manages",
    r"mend(?:s|ed|ing)?": "hint (what to write instead); repair, correct",
    r"poke[sd]?": "trigger a refresh",
    r"refuses?|refused(?! =)|refusing": "rejects",
    r"takes? in hand|took in hand|taken in hand": "handles",
    # How things are.
    r"(?<!there\s)(?:is|are|were|was) (?-i:none)": "what it is, as in: cannot be decoded",
    r"(?:is|are|be|was|were) away": "cannot be reached, is missing",
    r"(?:is|are) let in|lets? in|let in": "admits, may connect",
    r"as good as": "equivalent to",
    r"at (?:least|most) so many": "the bound itself, as in: at most this many",
    r"for so long": "for this long",
    r"forgetful": "without persistent storage",
    r"grave(?:st)?": "severe",
    r"of (?:its|their|our) own": "its own, their own, our own; or nothing",
    r"so many per cent": "this percentage",
    r"stands? still|stood still": "waits, makes no progress",
    r"the ones? that": "the noun itself, as in: the record that",
    r"under way": "running, current, in flight",
    # The beginning of a docstring.
    r'"""(?:give|say|tell)': "return, yield, report",
    r'"""(?:how|what|when|where|whether|which|why)': "the thing itself; True if ...",
    # When and who.
    r"again and again|time and again": "repeatedly",
    r"ahead of": "before, after, past",
    r"anew|afresh": "again, from the beginning",
    r"who(?:m|so)?ever": "everyone who, users who",
    r"\w+: (?:of )?which\.": "a phrase: type or shape, unit, meaning",
}

# Generated pages and code.
SKIPPED = re.compile(r"docs/(metrics|performance).*\.md|.*_pb2\.py")
# Code between fences or backticks, and the tables that are generated into a page.
_CODE = re.compile(
    r"^```.*?^```|`[^`]+`|<!-- (?P<table>fields|values) -->.*?<!-- /(?P=table) -->",
    re.MULTILINE | re.DOTALL,
)
_QUOTATION = re.compile(r'"[^"\n]+"')
_NOT_NEWLINE = re.compile(r"[^\n]")


def test_texts_are_in_plain_english() -> None:
    found = [problem for path in paths() for problem in problems(path.as_posix(), prose(path))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("a.md", "This is\nnone, and told.\n", [1, 2]),
        ("a.md", "Write `told`.\n\n```\ntold\n```\nIt is told.\n", [6]),
        ("a.md", 'The line "it is told" is\nnone.\n', [1]),
        ("a.md", "<!-- fields -->\ntold\n<!-- /fields -->\ntold\n", [4]),
        ("a.py", '"""It is told."""\nsaid = "told"  # told\n', [1, 2]),
        ("a.py", 'def f():\n    """It is\n    none."""\n    return "none"\n', [2]),
        ("a.py", "# It is\n# none.\nx = 1  # is\nnone = 1\n", [1]),
        ("a.yaml", "# told\nvalue: told\n", [1]),
    ],
)
def test_a_word_to_avoid_is_found_in_prose_alone(
    name: str, text: str, lines: list[int], tmp_path: Path
) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    found = problems(name, prose(path), {"told": "shown", "is none": "is not one"})
    assert [int(problem.split(":")[1]) for problem in found] == lines


def test_a_problem_names_the_file_the_line_the_word_and_a_better_one() -> None:
    assert list(problems("a.md", "\nIt is Told.", {"told": "shown"})) == [
        'a.md:2: found "Told", expected plain English; write: shown'
    ]


def paths() -> Iterator[Path]:
    """The files whose texts are checked."""
    for pattern in (
        "*.md",
        "docs/*.md",
        "charts/*/README.md",
        "charts/*/values*.yaml",
        "k8s/crds/*.yaml",
        "services/**/*.py",
        "tools/**/*.py",
    ):
        found = sorted(Path().glob(pattern))
        assert found, pattern
        yield from (path for path in found if not SKIPPED.fullmatch(path.as_posix()))


def prose(path: Path) -> str:
    """The text of a file with everything but prose blanked out, so that lines keep their number."""
    text = path.read_text("utf-8")
    if path.suffix == ".py":
        text = _comments_and_docstrings(text)
    elif path.suffix == ".yaml" and path.parent.name != "crds":
        text = re.sub(r"^(?! *#).*$", _blank, text, flags=re.MULTILINE).replace("#", " ")
    else:
        text = _QUOTATION.sub(_blank, text)
    return _CODE.sub(_blank, text)


def problems(name: str, text: str, words: dict[str, str] = WORDS) -> Iterator[str]:
    """The words to avoid in a text, each with its line and what to write instead."""
    found = [
        (match.start(), " ".join(match[0].split()), instead)
        for pattern, instead in words.items()
        for match in re.finditer(_expression(pattern), text, re.IGNORECASE)
    ]
    for at, word, instead in sorted(found):
        line = text.count("\n", 0, at) + 1
        yield f'{name}:{line}: found "{word}", expected plain English; write: {instead}'


def _expression(pattern: str) -> str:
    return rf"(?<!\w)(?:{pattern})(?!\w)".replace(" ", r"\s+")


def _comments_and_docstrings(text: str) -> str:
    lines = text.splitlines(keepends=True)
    kept = [re.sub(r"\S[^\n]*", _blank, line) for line in lines]
    alone = True  # whether a string here is a statement, and thus a docstring
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        (first, begin), (last, _) = token.start, token.end
        if token.type == tokenize.COMMENT:
            kept[first - 1] = kept[first - 1][:begin] + " " + lines[first - 1][begin + 1 :]
        elif token.type == tokenize.STRING and alone:
            kept[first - 1] = kept[first - 1][:begin] + lines[first - 1][begin:]
            kept[first:last] = lines[first:last]
        if token.type not in {tokenize.COMMENT, tokenize.NL}:
            alone = token.type in {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    return "".join(kept)


def _blank(match: re.Match[str]) -> str:
    """The text of a match with a character in place of each that no pattern of words matches."""
    return _NOT_NEWLINE.sub("\0", match[0])
