"""A real node and the project's image for the tests here, made once."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from tools.local_kubernetes import Docker, MachineError, Node, build

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

IMAGE = "fraud-detection:test"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where no test here can run, say so in one line: pytest folds skips of one place."""
    report = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        report.longrepr = (__file__, 1, report.longrepr[2])
    return report


class Image(NamedTuple):
    """The image, which the node has."""

    name: str
    size_bytes: int


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest) -> Iterator[Node]:
    """A node that runs pods; a machine that cannot have one skips the test and says why."""
    begun = time.monotonic()
    try:
        node = Node()
    except MachineError as error:
        pytest.skip(f"no node here: {error}")
    with node:
        say(request, f"a node was ready after {time.monotonic() - begun:.1f} s")
        yield node


@pytest.fixture(scope="session")
def image(node: Node, request: pytest.FixtureRequest) -> Image:
    """The image of this tree, built (cached layers and all) and given to the node."""
    begun = time.monotonic()
    try:
        docker = Docker()
        with docker:
            build(docker, IMAGE, lambda _: None)
            built = time.monotonic()
            with docker.saved(IMAGE) as archive:
                node.import_image(archive)
            size_bytes = docker.size_bytes(IMAGE)
    except MachineError as error:
        pytest.skip(f"no image here: {error}")
    say(
        request,
        f"the image of {size_bytes / 1e6:.0f} MB was built in {built - begun:.1f} s "
        f"and imported in {time.monotonic() - built:.1f} s",
    )
    return Image(IMAGE, size_bytes)


def say(request: pytest.FixtureRequest, line: str) -> None:
    """Print a line past pytest's capture: a figure that a reader of the log wants.

    To stderr, because xdist's processes have no stdout.
    """
    capture: Any = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\n{line}", file=sys.stderr)  # noqa: T201 - for people
