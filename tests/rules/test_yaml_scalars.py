"""A scalar of YAML means to `fraud rules check` what it means to kubectl."""

from __future__ import annotations

import json
import math
import random
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from services.documents import MAX_ALIASED, DocumentError, read_documents
from tools.local_kubernetes.programs import program

if TYPE_CHECKING:
    from pathlib import Path

# As `kubectl label --local -o json` of 1.32 and 1.34 gives them.
READ = {
    "950": 950,
    "+950": 950,
    "1e3": 1000,
    "1E+3": 1000,
    ".95e3": 950,
    "9.5e2": 950,
    "100.0": 100,
    "1.5": 1.5,
    "1_000": 1000,
    "1_000.5": 1000.5,
    ".5_0": 0.5,
    "0x3E8": 1000,
    "0o1750": 1000,
    "01750": 1000,
    "09": 9,
    "0b11": 3,
    "-0b11": -3,
    "0b+1": 1,
    "12345678901234567890123": 1.2345678901234568e22,
    "1e400": "1e400",
    "1e21": 1e21,
    "-0.0": 0,
    "5319E7": 53190000000,
    "15:50": "15:50",
    "1:2:3": "1:2:3",
    "08:15": "08:15",
    "1.2.3": "1.2.3",
    "2026-01-01": "2026-01-01",
    "2026-01-01T00:00:00Z": "2026-01-01T00:00:00Z",
    "NO": False,
    "n": False,
    "Off": False,
    "y": True,
    "ON": True,
    "yEs": "yEs",
    "nO": "nO",
    "~": None,
    "": None,
    "Null": None,
    "'NO'": "NO",
    '"1e3"': "1e3",
    "=": "=",
    "<<": "<<",
    "._": "._",
    "0x": "0x",
    "!!str 5": "5",
    "!!float 5": 5,
    "!!int '0x1f'": 31,
}
_PIECES = (
    *("0", "1", "7", "9", "x", "o", "b", "e", "E", "+", "-", ".", "_", ":", "n", "o", "y", "f"),
    *("inf", "nan", "~", "0x", "0b", "0o", "true", "null", "N", "T", "a", "Z", "2026-01-01"),
)


def value(text: str) -> Any:
    """The value of the key `a` of a document."""
    [document] = read_documents(text)
    return document.value["a"]


def _as_sent(read: Any) -> Any:
    """Beyond int64 Go's JSON has a double."""
    return float(read) if type(read) is int and not -(2**63) <= read < 2**63 else read


@pytest.mark.parametrize(("text", "read"), READ.items())
def test_a_scalar_is_what_kubectl_reads(text: str, read: Any) -> None:
    found = value(f"a: {text}\n")
    assert found == read
    assert type(found) is type(read)


@pytest.mark.kubernetes
def test_random_scalars_are_what_kubectl_reads(tmp_path: Path) -> None:
    chance = random.Random(7)
    texts = list(READ)
    while len(texts) < 3000:
        text = "".join(chance.choice(_PIECES) for _ in range(chance.randint(1, 5)))
        try:
            read = value(f"a: {text}\n")
        except (DocumentError, TypeError):
            continue  # not a scalar
        if not isinstance(read, float) or math.isfinite(read):  # kubectl refuses the others
            texts.append(text)
    spec = "".join(f"  k{i}: {text}\n" for i, text in enumerate(texts))
    manifest = f"apiVersion: v1\nkind: Thing\nmetadata: {{name: x}}\nspec:\n{spec}"
    (tmp_path / "thing.yaml").write_text(manifest, encoding="utf-8")
    command = ("label", "--local", "-f", str(tmp_path / "thing.yaml"), "a=b", "-o", "json")
    sent = subprocess.run(
        [str(program("kubectl")), *command],
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": str(tmp_path), "KUBECONFIG": "/dev/null"},
    )
    theirs = json.loads(sent.stdout)["spec"]
    [document] = read_documents(manifest)
    ours = document.value["spec"]
    differ = [
        (text, ours[f"k{i}"], theirs[f"k{i}"])
        for i, text in enumerate(texts)
        if json.dumps(_as_sent(ours[f"k{i}"])) != json.dumps(_as_sent(theirs[f"k{i}"]))
    ]
    assert differ == []


def test_aliases_and_merges_are_followed() -> None:
    text = "b: &b {x: 1, w: [2]}\na: {<<: *b, x: 3, z: *b}\n"
    assert value(text) == {"x": 3, "w": [2], "z": {"x": 1, "w": [2]}}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: &a [*a]\n", "stands within what it names"),
        ("a: {x: 1, <<: {x: 2}}\n", "write `<<` first"),
        ("a: {<<: 5}\n", "`<<` takes a mapping"),
        ("a: !cel x\n", "for the tag '!cel'"),
        ("a: !!int x\n", "`x` is not a !!int"),
        ("a: !!binary aGk=\n", "leave the tag out"),
        ("no: 1\n", "the key `no` is not text: put it in quotes"),
        (f"b: &b [{'0,' * 999}0]\na: [{'*b,' * 20}0]\n", f"more than {MAX_ALIASED} values"),
        ("a: !has(x)\n", "stands in quotes, or after `>-`"),
        ("a: 'x' == y\n", "stands in quotes, or after `>-`"),
        ("a: x ? y : z\n", "stands in quotes, or after `>-`"),
        ("a: @x\n", "stands in quotes, or after `>-`"),
        ("a: [1].exists(x, y)\n", "stands in quotes, or after `>-`"),
        ("a: {'x': 1}[y]\n", "stands in quotes, or after `>-`"),
        ("a: *x > 5\n", "stands in quotes, or after `>-`"),
        ("a: &x\n  &y z\n", "stands in quotes, or after `>-`"),
        ("a: %x\n", "stands in quotes, or after `>-`"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_to_write(text: str, found: str) -> None:
    with pytest.raises(DocumentError) as rejected:
        value(text)
    assert found in str(rejected.value)
