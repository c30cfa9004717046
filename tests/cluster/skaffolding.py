"""A `skaffold dev` that runs, and what it shows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Self

from tests.support.streaming import until
from tools.this_machine import die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tools.local_kubernetes import Node

# The image is pushed whole the first time.
FIRST_SECONDS = 900.0
EDIT_SECONDS = 300.0
DOWN_SECONDS = 300.0
SERVICES = ("detector", "generator", "operator")
_CRD = "fraudrules.frauddetection.io"


class Skaffold:
    """A program that runs skaffold, in a namespace of a node.

    Args:
        node: where it installs.
        namespace: where on it.
        command: the program.
        folder: that it is started in.
        environment: that it is started with.
        log: the file for all that it says.

    """

    def __init__(
        self,
        node: Node,
        namespace: str,
        command: Sequence[str],
        folder: Path,
        environment: dict[str, str],
        log: Path,
    ) -> None:
        self._node, self._namespace, self._log = node, namespace, log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()

    def said(self) -> str:
        """All that it has said, the pods' logs too; it must not have ended."""
        text = self._text()
        assert self._process.poll() is None, text[-6000:]
        return text

    def shows(self, service: str, words: str) -> bool:
        """Whether a service's log, as skaffold shows it, has these words."""
        return any(f" {service}]" in line and words in line for line in self.said().splitlines())

    def wait(self, happened: Callable[[], object], what: str, seconds: float) -> None:
        """Wait for something; what it said last, and of the pods, is told if that fails."""
        try:
            until(lambda: self.said() and happened(), what, seconds)
        except AssertionError as error:
            pods = self.kubectl("get", "pods,events")
            raise AssertionError(f"{error}\n{pods}\n{self._text()[-6000:]}") from None

    def wait_until_deployed(self) -> None:
        """Wait until all is installed, and the log of each service is shown."""
        self.wait(lambda: "Watching for changes" in self.said(), "all is deployed", FIRST_SECONDS)
        for service in SERVICES:
            started = partial(self.shows, service, '"started"')
            self.wait(started, f"{service}'s log", EDIT_SECONDS)

    def kubectl(self, *arguments: str) -> str:
        """Run kubectl in the namespace."""
        return self._node.kubectl("-n", self._namespace, *arguments)

    def is_in_force(self, rule: str, mode: str) -> bool:
        """Whether a rule is in force on the detector as it was applied last, in this mode."""
        found = json.loads(self.kubectl("get", "fraudrule", rule, "-o", "json"))
        status = found.get("status", {})
        seen = (found["spec"]["mode"], status.get("activeGeneration"), status.get("applied"))
        return bool(seen == (mode, found["metadata"]["generation"], "1/1"))

    def pods(self) -> set[str]:
        """The pods that there are, each by an identity that it alone has."""
        return set(self.kubectl("get", "pods", "-o", "jsonpath={.items[*].metadata.uid}").split())

    def stop(self) -> None:
        """Press Ctrl-C, and wait until it has taken all down."""
        os.killpg(self._process.pid, signal.SIGINT)  # a terminal tells all that run in it
        code = self._process.wait(DOWN_SECONDS)
        assert code == 0, self._text()[-6000:]

    def _text(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")


@contextmanager
def definition_of_nobody(node: Node) -> Iterator[None]:
    """Have the release that is installed next bring FraudRules: they belong to the one before."""
    delete = ("delete", "crd", _CRD, "--ignore-not-found")
    node.kubectl(*delete)
    yield
    node.kubectl(*delete)
