"""A later version of the project: its FraudRules have one more field, and its services know it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import yaml

from tests.charts.rendering import OURS
from tools.local_kubernetes import Docker, Node, build

FIELD = "owner"
IMAGE = "fraud-detection:newer"
_PARTS = ("services", "tools", "charts", "Dockerfile", ".dockerignore", "requirements.txt")
_MODEL = "services/rules/model.py"
# The last field of a rule's spec; the new one comes before it.
_PLACE = "    examples: Annotated[\n        tuple[Example, ...],\n"
_NEW = f'    {FIELD}: Annotated[str, Meta(max_length=64, description="Who looks after it.")] = ""\n'


class Newer(NamedTuple):
    """What to upgrade to."""

    chart: str
    image: str


def newer(node: Node, project: Path) -> Newer:
    """Make the later version's chart in an empty folder, and give its image to a node."""
    for part in _PARTS:
        if Path(part).is_dir():
            shutil.copytree(part, project / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(part, project / part)
    model = (project / _MODEL).read_text(encoding="utf-8")
    assert model.count(_PLACE) == 1
    (project / _MODEL).write_text(model.replace(_PLACE, _NEW + _PLACE), encoding="utf-8")
    generate = [sys.executable, "-m", "tools.shipped.resource_definition"]
    definition = subprocess.check_output(generate, cwd=project, text=True)
    assert FIELD in fields(yaml.safe_load(definition))
    (project / OURS / "files/fraudrules.yaml").write_text(definition, encoding="utf-8")
    with Docker() as docker:
        build(docker, IMAGE, lambda _: None, project)
        with docker.saved(IMAGE) as archive:
            node.import_image(archive)
    return Newer(str(project / OURS), IMAGE)


def fields(definition: dict[str, object]) -> set[str]:
    """The fields that a rule's spec has by a resource's definition."""
    found: object = definition
    for key in ("spec", "versions", 0, "schema", "openAPIV3Schema", "properties", "spec"):
        found = found[key]  # type: ignore[index]
    return set(found["properties"])  # type: ignore[index]
