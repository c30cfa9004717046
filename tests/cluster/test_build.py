from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.local_kubernetes import Docker, MachineError, build
from tools.local_kubernetes.debian import IMAGE as BASE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.cluster

NAME = "fraud-detection-pruned:test"
DOCKERFILE = f"""
FROM {BASE} AS build
RUN head -c 16 /dev/urandom > /once
COPY word /word
FROM {BASE}
COPY --from=build /once /word /
"""


@pytest.fixture
def docker() -> Iterator[Docker]:
    """A daemon of ours; nothing of a machine's own is ever pruned."""
    try:
        with Docker() as docker:
            if not docker.is_ours:
                pytest.skip("nothing to prune here: the machine's own Docker answers")
            yield docker
            docker.run("image", "rm", NAME, f"{NAME}-build")
    except MachineError as error:
        pytest.skip(f"no image here: {error}")


def test_layers_of_older_builds_go_and_those_of_the_newest_stay(
    docker: Docker, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE, encoding="utf-8")

    def built(word: str) -> list[str]:
        (tmp_path / "word").write_text(word, encoding="utf-8")
        build(docker, NAME, lambda _: None, tmp_path)
        assert not docker.run("images", "--quiet", "--filter", "dangling=true")
        return docker.run("image", "inspect", "--format", "{{.Id}}", NAME, BASE).split()

    first, base = built("one")
    assert built("one") == [first, base]  # of layers that are there: else it would be random anew
    second, same = built("two")
    assert second != first
    assert same == base
    assert not docker.has(first)
    assert built("two") == [second, base]
