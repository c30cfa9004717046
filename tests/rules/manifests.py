"""FraudRules as text, for the tests."""

from __future__ import annotations

import json
from typing import Any

HEAD = "apiVersion: frauddetection.io/v1alpha1\nkind: FraudRule\n"


def manifest(
    name: str = "rule", expression: str = "transaction.amount >= 900.0", **spec: Any
) -> str:
    """A rule as a YAML document."""
    body = {"expression": expression, **spec}
    return f"{HEAD}metadata: {{name: {name}}}\nspec: {json.dumps(body)}\n"


def payment(**more: Any) -> dict[str, Any]:
    """A transaction as a producer has it."""
    return {"source": "a", "target": "b", "amount": 950.0, "currency": "USD", **more}
