"""FraudRules as the API has them, and as text."""

from __future__ import annotations

import json
from typing import Any

from services.rules.model import API_VERSION, KIND


def fraud_rule(
    name: str = "some-rule", generation: int | None = None, **spec: object
) -> dict[str, Any]:
    """A FraudRule; fields that are None are left out."""
    metadata = {"name": name, "generation": generation}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {key: value for key, value in metadata.items() if value is not None},
        "spec": {key: value for key, value in spec.items() if value is not None},
    }


def counting(expression: str) -> str:
    """A rule, as YAML, over the number of payments of a source within an hour, `payments`."""
    payments = {"name": "payments", "function": "Count", "groupBy": "source", "window": "1h"}
    return json.dumps(fraud_rule("many", expression=expression, aggregates=[payments]))
