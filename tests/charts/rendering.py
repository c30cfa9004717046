"""Charts as Helm renders them."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import yaml

from tools.local_kubernetes import program

if TYPE_CHECKING:
    from tests.support.kubernetes import ApiServer

OURS = "charts/fraud-detection"
KAFKA = "charts/kafka-cluster"


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm, whatever its exit code."""
    return subprocess.run(
        [str(program("helm")), *arguments], capture_output=True, text=True, check=False
    )


def template(
    chart: str,
    *files: str,
    release: str = "fraud-detection",
    namespace: str = "default",
    **values: Any,
) -> subprocess.CompletedProcess[str]:
    """Render a chart with values files and values of its top level, as helm says it."""
    chosen = [f"--values={file}" for file in files]
    given = [f"--set-json={name}={json.dumps(value)}" for name, value in values.items()]
    return helm("template", release, chart, f"--namespace={namespace}", *chosen, *given)


def render(chart: str, *files: str, **options: Any) -> list[dict[str, Any]]:
    """Render a chart, which succeeds, into its objects."""
    done = template(chart, *files, **options)
    assert done.returncode == 0, done.stderr
    return [value for value in yaml.load_all(done.stdout, yaml.CSafeLoader) if value]


def pick(objects: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    """The one object of a kind, and of a name where there are several."""
    found = [o for o in objects if o["kind"] == kind and name in {"", o["metadata"]["name"]}]
    assert len(found) == 1, [(o["kind"], o["metadata"]["name"]) for o in objects]
    return found[0]


def dry_run(server: ApiServer, namespace: str, objects: list[dict[str, Any]]) -> list[str]:
    """What the API server says of objects that it is shown and does not keep, a line for each."""
    told = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    apply = ("apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-")
    return server.kubectl("-n", namespace, *apply, stdin=told).strip().split("\n")
