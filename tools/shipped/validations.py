"""The constraints between fields of a FraudRule, as CEL for the API server."""

from __future__ import annotations

import msgspec

from services.rules.consistency import (
    DEFAULT_SCORE,
    FIELD_OF_COUNT,
    LONG_WINDOW,
    NO_FIELD,
    REASON_CODE_OF_NAME,
    SCORE_OF_ALLOW,
)
from services.rules.model import MAX_REASON_CODE_LENGTH, MAX_WINDOW_SECONDS, WINDOW_PATTERN


class Validation(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A constraint between fields: a CEL rule at a node, and the message if it is violated.

    `node` is the path of `self` in `rule`; "" is the resource. `field_path` is the field to
    report, relative to it.
    """

    node: str
    rule: str
    message: str
    field_path: str
    reason: str = "FieldValueInvalid"

    def published(self) -> dict[str, str]:
        """Return the validation in the form of the schema."""
        return {k: v for k, v in msgspec.to_builtins(self).items() if k != "node"}


# The engine rejects each of these too, with the same message.
VALIDATIONS = (
    Validation(
        node="spec",
        rule=f"!has(self.action) || self.action != 'Allow' || self.score == {DEFAULT_SCORE}",
        message=SCORE_OF_ALLOW,
        field_path=".score",
    ),
    Validation(
        node="",
        rule="(has(self.spec.reasonCode) && self.spec.reasonCode != '') || "
        f"self.metadata.name.matches('^[a-z].{{0,{MAX_REASON_CODE_LENGTH - 1}}}$')",
        message=REASON_CODE_OF_NAME,
        field_path=".spec.reasonCode",
        reason="FieldValueRequired",
    ),
    Validation(
        node="spec.aggregates[]",
        rule="self.function != 'Count' || !has(self.of) || self.of == ''",
        message=FIELD_OF_COUNT,
        field_path=".of",
    ),
    Validation(
        node="spec.aggregates[]",
        rule="self.function == 'Count' || (has(self.of) && self.of != '')",
        message=NO_FIELD,
        field_path=".of",
        reason="FieldValueRequired",
    ),
    Validation(
        node="spec.aggregates[]",
        # The rule also runs on values that the pattern rejects, for which `duration` fails.
        rule=f"!self.window.matches('{WINDOW_PATTERN}') || "
        f"duration(self.window) <= duration('{MAX_WINDOW_SECONDS}s')",
        message=LONG_WINDOW,
        field_path=".window",
    ),
)
