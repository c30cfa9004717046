"""What the admission webhook says of a FraudRule: the words of `fraud rules check`.

Pure: an object and what it was before come in, the problems go out.
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
    """Judge a FraudRule that is to be created or changed.

    Returns:
        The compiled rule, or the text to refuse it with. None where its spec is
        what it was: a rule that is bad already can still be labelled, or deleted.

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
    """What a rule says, as text: to Python 1 equals true."""
    return json.dumps(value.get("spec"), sort_keys=True)
