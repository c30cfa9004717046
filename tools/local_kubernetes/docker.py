"""Docker, to build images: the machine's own, or a daemon that is started beside the node.

The daemon's data is kept in the cache folder, so a second build takes seconds.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
import time
from typing import IO, TYPE_CHECKING, Self

from services.errors import UserError
from tools.local_kubernetes.machine import IMAGE_PROGRAMS, environment, require, which
from tools.local_kubernetes.namespaces import Namespaces
from tools.local_kubernetes.state import StateFolder
from tools.this_machine import cache_folder, die_with_parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# Seen: 2 s. A daemon with gigabytes of data takes longer.
START_SECONDS = 300.0
_LOOK_SECONDS = 0.1
_OWN_SECONDS = 10.0


class DockerError(UserError):
    """A Docker command failed; the text has its output."""


class Docker:
    """A Docker daemon to build with.

    Inside a `with` block, it is the machine's own if that answers. Else a daemon is started, by
    root on Linux, and ends with the block. Only one runs at a time; another one waits for it.

    Args:
        say: Called with each line of progress.

    """

    def __init__(self, say: Callable[[str], None] = lambda _: None) -> None:
        self._say = say
        self._address: list[str] = []
        self._end = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if not answers():
            require(IMAGE_PROGRAMS, "building an image without a Docker that answers")
            try:
                self._start()
            except BaseException:
                self._end.close()
                raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end.close()

    @property
    def is_ours(self) -> bool:
        """True if it is our own daemon."""
        return bool(self._address)

    def environment(self) -> dict[str, str]:
        """Return an environment in which any Docker client uses this daemon."""
        if not self.is_ours:
            return environment()
        # The classic builder: Debian's Docker has no other one.
        return environment() | {"DOCKER_HOST": self._address[1], "DOCKER_BUILDKIT": "0"}

    def run(self, *arguments: str, stdin: IO[bytes] | None = None, seconds: float = 1800.0) -> str:
        """Run the docker program, and return its standard output.

        Raises:
            DockerError: It failed, or took too long.

        """
        try:
            done = subprocess.run(
                [*self._docker(), *arguments],
                stdin=stdin or subprocess.DEVNULL,
                capture_output=True,
                env=self.environment(),
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise DockerError(f"docker {arguments[0]} took more than {seconds:.0f} s") from None
        output = done.stdout.decode(errors="replace")
        if done.returncode:
            said = f"{output}\n{done.stderr.decode(errors='replace')}"
            raise DockerError("\n".join(said.strip().split("\n")[-25:]))
        return output

    def has(self, image: str) -> bool:
        """True if it has an image."""
        try:
            self.run("image", "inspect", image)
        except DockerError:
            return False
        return True

    def size_bytes(self, image: str) -> int:
        """Return the unpacked size of an image with all its layers, in bytes."""
        return int(json.loads(self.run("image", "inspect", image))[0]["Size"])

    @contextlib.contextmanager
    def saved(self, image: str) -> Iterator[IO[bytes]]:
        """Yield an image as a stream, in the format of `docker save`."""
        command = [*self._docker(), "save", image]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=self.environment()) as process:
            assert process.stdout is not None  # noqa: S101 - stdout is a pipe
            yield process.stdout
            process.stdout.read()
        if process.returncode:
            raise DockerError(f"docker save {image} failed")

    def _docker(self) -> list[str]:
        return [which("docker") or "docker", *self._address]

    def _start(self) -> None:
        data = cache_folder() / "docker"
        data.mkdir(parents=True, exist_ok=True)
        self._await_turn(data.with_name("docker.lock"))
        state = StateFolder()
        self._end.callback(state.remove)
        socket = state.path / "docker.sock"
        namespaces = Namespaces("mount -t tmpfs tmpfs /run", network=False)
        self._end.callback(namespaces.stop)
        namespaces.start()
        self._say("starting a Docker daemon")
        command = [
            "dockerd",
            f"--host=unix://{socket}",
            f"--data-root={data}",
            "--exec-root=/run/docker",
            "--pidfile=/run/docker.pid",
            f"--cgroup-parent=/{state.name}",
            # It only builds, and uses the network of this machine.
            "--iptables=false",
            "--ip6tables=false",
            "--bridge=none",
        ]
        log = state.path / "docker.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                namespaces.inside(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment(),
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one prctl call, which takes no lock
            )
        # It waits after the namespaces have ended: callbacks run in reverse order.
        self._end.callback(process.wait)
        self._end.callback(namespaces.stop)
        self._address = ["--host", f"unix://{socket}"]
        deadline = time.monotonic() + START_SECONDS
        while not answers(self._address):
            if process.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(log.read_text(errors="replace").strip().split("\n")[-10:])
                raise DockerError(f"the Docker daemon did not start; its log ends:\n{tail}")
            time.sleep(_LOOK_SECONDS)

    def _await_turn(self, path: Path) -> None:
        lock = self._end.enter_context(path.open("a", encoding="ascii"))
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._say("waiting for another build to end")
            fcntl.flock(lock, fcntl.LOCK_EX)


def answers(address: list[str] | None = None) -> bool:
    """True if a Docker daemon answers; by default the machine's own."""
    docker = which("docker")
    if docker is None:
        return False
    try:
        done = subprocess.run(
            [docker, *(address or []), "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            timeout=_OWN_SECONDS,
            check=False,
            env=os.environ,
        )
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
