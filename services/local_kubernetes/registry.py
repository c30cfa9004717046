"""A registry of images that this machine and its node both call localhost.

Without TLS Docker pushes to loopback alone. The node has a loopback of its own, and containerd
pulls from there. So two processes serve one folder: one is reached here, the other in the node.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from services.local_kubernetes.machine import command

if TYPE_CHECKING:
    from pathlib import Path


def serve(folder: Path, port: int) -> list[str]:
    """Give the command that serves a folder's images, and write its configuration.

    Args:
        folder: for the images and the configuration; made here.
        port: of the loopback address where the command is run.

    """
    folder.mkdir(exist_ok=True)
    configuration = folder / "registry.json"
    # JSON is YAML.
    configuration.write_text(
        json.dumps(
            {
                "version": "0.1",
                "log": {"level": "warn", "accesslog": {"disabled": True}},
                "storage": {"filesystem": {"rootdirectory": str(folder)}},
                "http": {"addr": f"127.0.0.1:{port}"},
            }
        ),
        encoding="utf-8",
    )
    return command("docker-registry", "serve", str(configuration))
