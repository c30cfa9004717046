"""Manifests with one thing wrong: how they are made, for those in `bad_manifests`."""

from __future__ import annotations

import copy
import json
import re
from typing import Any, NamedTuple

HEAD = "apiVersion: frauddetection.io/v1alpha1\nkind: FraudRule\n"
TOP = f"{HEAD}metadata: {{name: bad-rule}}\n"
PAYMENT = {"source": "alice", "target": "bob", "amount": 950.0, "currency": "USD"}
EXAMPLE = {"name": "it", "transaction": PAYMENT, "expect": "Match"}
EXPRESSION = "transaction.amount >= 900.0"
SPEC = {"expression": EXPRESSION, "examples": [EXAMPLE]}
GOOD: dict[str, Any] = {
    "apiVersion": "frauddetection.io/v1alpha1",
    "kind": "FraudRule",
    "metadata": {"name": "bad-rule"},
    "spec": SPEC,
}
ABSENT: Any = object()


class BadManifest(NamedTuple):
    """A manifest that is refused.

    `field` is the one that `fraud rules check` blames, "" where the text is no YAML, and `says` a
    fragment of its message. `server_says` is a fragment of what kubectl prints, where it does not
    name the same field.
    """

    name: str
    manifest: dict[str, Any] | str
    field: str
    says: str
    server_says: str = ""

    @property
    def text(self) -> str:
        """The manifest as a file has it."""
        if isinstance(self.manifest, str):
            return self.manifest
        return json.dumps(self.manifest, ensure_ascii=False)


def wrong(
    field: str, value: Any, says: str, server_says: str = "", *, blames: str = "", name: str = ""
) -> BadManifest:
    """The good rule with one field set, or taken away; `blames` is the field of the message."""
    manifest = copy.deepcopy(GOOD)
    put(manifest, field, value)
    shown = "absent" if value is ABSENT else json.dumps(value)
    return BadManifest(
        name or f"{field}: {shown}"[:70], manifest, blames or field, says, server_says
    )


def put(manifest: Any, field: str, value: Any) -> None:
    """Set a field of a manifest, or take it away where the value is ABSENT."""
    *way, last = [int(i) if i else name for name, i in re.findall(r"(\w+)|\[(\d+)\]", field)]
    for step in way:
        manifest = manifest[step]
    if value is ABSENT:
        del manifest[last]
    else:
        manifest[last] = value


def example(field: str, value: Any, says: str, server_says: str = "") -> BadManifest:
    """The good rule with a wrong field in its example."""
    return wrong(f"spec.examples[0].{field}", value, says, server_says)


def payment(field: str, value: Any, says: str) -> BadManifest:
    """The good rule with a transaction in its example that is none."""
    transaction = "spec.examples[0].transaction"
    return wrong(f"{transaction}.{field}", value, says, blames=transaction)


def nested(field: str, value: Any) -> BadManifest:
    """The good rule with something nested in its example's transaction."""
    path = f"spec.examples[0].transaction.{field}"
    return wrong(path, value, "found a list or an object, expected a plain value")


def no_yaml(name: str, text: str, says: str, server_says: str = "") -> BadManifest:
    """A text that is no YAML, as files may have it."""
    return BadManifest(name, text, "", says, server_says)


def matching(pattern: str, says: str) -> BadManifest:
    """The good rule with a regular expression that is refused."""
    text = f"transaction.source.matches({json.dumps(pattern)})"
    return wrong("spec.expression", text, says, name=f"pattern {pattern}"[:40])
