"""The project's image: built from its Dockerfile, and given to a node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from services.local_kubernetes import debian

if TYPE_CHECKING:
    from collections.abc import Callable

    from services.local_kubernetes.docker import Docker

PROJECT = Path(__file__).parents[2]


def build(docker: Docker, image: str, say: Callable[[str], None], project: Path = PROJECT) -> None:
    """Build the image of a project's folder.

    Raises:
        DockerError: it cannot be built; the text has the end of what Docker said.

    """
    debian.provide(docker, say)
    say(f"building {image}")
    docker.run("build", "--quiet", "--network=host", "--tag", image, str(project))
