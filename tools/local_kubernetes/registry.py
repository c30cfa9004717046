"""A registry of images that is localhost for both this machine and its node.

Without TLS, Docker only pushes to loopback. The node has its own loopback, and containerd
pulls from there. So two processes serve one folder: one on this machine, the other in the node.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tools.local_kubernetes.machine import command

if TYPE_CHECKING:
    from pathlib import Path


def serve(folder: Path, port: int) -> list[str]:
    """Return the command that serves a folder's images, and write its configuration.

    Args:
        folder: Folder for the images and the configuration; created here.
        port: Port of the loopback address where the command runs.

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
