"""`python -m tests.monitoring.dashboards`: write the chart's dashboards."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from tests.monitoring.dashboards.fraud import fraud
from tests.monitoring.dashboards.kafka import kafka
from tests.monitoring.dashboards.rules import rules
from tests.monitoring.dashboards.stream import stream

FOLDER = Path("charts/fraud-detection/dashboards")


def made() -> dict[str, str]:
    """Give the text of each file, by its name."""
    boards = [fraud(), stream(), rules(), kafka()]
    return {
        f"{board.uid}.json": json.dumps(board, cls=JSONEncoder, indent=1, sort_keys=True) + "\n"
        for board in boards
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in made().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
