"""`python -m tools.shipped.dashboards`: write the chart's dashboards."""

from __future__ import annotations

import json
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from tools.shipped.dashboards.fraud import fraud
from tools.shipped.dashboards.kafka import kafka
from tools.shipped.dashboards.rules import rules
from tools.shipped.dashboards.stream import stream

FOLDER = Path("charts/fraud-detection/dashboards")


def made() -> dict[str, str]:
    """Return the text of each file, by its name."""
    boards = [fraud(), stream(), rules(), kafka()]
    return {
        f"{board.uid}.json": json.dumps(board, cls=JSONEncoder, indent=1, sort_keys=True) + "\n"
        for board in boards
    }


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in made().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
