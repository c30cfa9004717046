"""The project's image: built from its Dockerfile, and loaded into a node."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tools.local_kubernetes import debian

if TYPE_CHECKING:
    from collections.abc import Callable

    from tools.local_kubernetes.docker import Docker

PROJECT = Path(__file__).parents[2]


def build(docker: Docker, image: str, say: Callable[[str], None], project: Path = PROJECT) -> None:
    """Build the image of a project's folder, whose Dockerfile has a stage `build` before the last.

    Our own daemon keeps the layers of the newest build of each name for the next build, and no
    others.

    Raises:
        DockerError: It cannot be built; the text has the end of Docker's output.

    """
    debian.provide(docker, say)
    say(f"building {image}")
    command = ["build", "--quiet", "--network=host", str(project), "--tag"]
    if docker.is_ours:
        # Without a name the first stage would be pruned too, and built again each time.
        docker.run(*command, f"{image}-build", "--target=build")
    docker.run(*command, image)
    if docker.is_ours:
        # Containers too: a build that was killed leaves one, which keeps its layers.
        docker.run("system", "prune", "--force")
