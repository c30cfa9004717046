"""The admission webhook's review of a FraudRule, with the messages of `fraud rules check`.

Pure: the input is the object and its earlier version, the output its problems.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from services.rules import CompiledRule, Compiler, RuleError, read_object

if TYPE_CHECKING:
    from collections.abc import Mapping


def review(
    new: dict[str, Any], old: Mapping[str, Any] | None, compiler: Compiler
) -> CompiledRule | str | None:
    """Review a FraudRule that is to be created or changed.

    Returns:
        The compiled rule, or the text of the rejection. None if its spec has not
        changed: a rule that is bad already can still be labelled or deleted.

    """
    if old and _text(old) == _text(new):
        return None
    manifest = read_object(new, "fraudrule")
    if manifest.rule is None:
        return "\n".join(problem.text() for problem in manifest.problems)
    try:
        return compiler.compile(manifest.rule)
    except RuleError as error:
        return str(error)


def _text(value: Mapping[str, Any]) -> str:
    """Return the content of a rule as text, because in Python 1 equals True."""
    return json.dumps(value.get("spec"), sort_keys=True)
