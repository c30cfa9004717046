"""The cluster of `make cluster`: kind if Docker answers, else our own node, which keeps running."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from services.errors import UserError
from tools.local_kubernetes.docker import Docker, answers
from tools.local_kubernetes.image import build
from tools.local_kubernetes.machine import command, which
from tools.local_kubernetes.node import Node
from tools.local_kubernetes.programs import program
from tools.local_kubernetes.state import sweep
from tools.this_machine import cache_folder

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Say = Callable[[str], None]
"""Called with each line of progress."""

KIND_NAME = "fraud-detection"
# The first start builds Kubernetes.
UP_SECONDS = 3600.0
DOWN_SECONDS = 60.0
_LOOK_SECONDS = 0.1
_READY = "ready"


class ClusterError(UserError):
    """There is no cluster, or it cannot be started; the text has a hint."""


class HeldNode(NamedTuple):
    """A node that another process holds."""

    containerd: str
    """Address of its containerd."""
    registry: str
    """Address to which this machine pushes images for it, as host:port."""
    host: str
    """Address of this machine for its pods."""


def up(say: Say) -> Path:
    """Start a cluster unless one runs already, and return its kubeconfig.

    Raises:
        ClusterError: It did not start.
        MachineError: This machine cannot run one.

    """
    if owner() is None and by_kind():
        _kind(say)
    elif owner() is None:
        _start_node(say)
    else:
        say("it runs already")
    return kubeconfig()


def down(say: Say) -> None:
    """Remove the cluster and everything that belongs to it; no error if there is none."""
    if (pid := owner()) is not None:
        say("stopping the node")
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + DOWN_SECONDS
        while owner() is not None:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)  # the whole node ends with it
                deadline += DOWN_SECONDS
            time.sleep(_LOOK_SECONDS)
    elif by_kind():
        say("deleting the cluster of kind")
        subprocess.run(command("kind", "delete", "cluster", "--name", KIND_NAME), check=True)
    if sys.platform == "linux":
        sweep()
    shutil.rmtree(_folder(), ignore_errors=True)


def load_image(image: str, say: Say) -> None:
    """Build the image and load it into the running cluster.

    Raises:
        ClusterError: No cluster runs.
        DockerError: The image cannot be built.

    """
    held = held_node()
    if held is None and not by_kind():
        raise ClusterError("no cluster runs; `make cluster` starts one")
    with Docker(say) as docker:
        build(docker, image, say)
        say("giving it to the cluster")
        if held is not None:
            ctr = command("ctr", f"--address={held.containerd}", "--namespace=k8s.io")
            with docker.saved(image) as archive:
                subprocess.run(
                    [*ctr, "images", "import", "-"], stdin=archive, check=True, capture_output=True
                )
        else:
            subprocess.run(
                command("kind", "load", "docker-image", image, "--name", KIND_NAME), check=True
            )


def hold() -> None:
    """Run a node until SIGTERM, in the process that `up` starts."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with ownership(), Node(_print) as ours:
        publish(ours)
        _print(_READY)
        while not stop.wait(1.0):
            if ended := ours.ended():
                _print(f"{ended} has ended, and the node with it")
                return


@contextlib.contextmanager
def ownership() -> Iterator[None]:
    """Hold the lock of the node's owner until the block ends.

    Raises:
        OSError: Another process holds it.

    """
    _folder().mkdir(parents=True, exist_ok=True)
    with (_folder() / "owner").open("a+", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def publish(node: Node) -> None:
    """Write down how other processes reach the node of this process."""
    shutil.copy(node.kubeconfig, kubeconfig())
    held = HeldNode(str(node.containerd_socket), node.registry, node.network.host)
    for name, value in held._asdict().items():
        (_folder() / name).write_text(value, encoding="utf-8")


def owner() -> int | None:
    """Return the process that holds the node; None if there is none."""
    try:
        with (_folder() / "owner").open(encoding="ascii") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return int(lock.read() or 0) or None
    except FileNotFoundError:
        pass
    return None


def held_node() -> HeldNode | None:
    """Return the node that is held; None if there is none."""
    if owner() is None:
        return None
    return HeldNode(*((_folder() / name).read_text(encoding="utf-8") for name in HeldNode._fields))


def kubeconfig() -> Path:
    """Return the path of the cluster's kubeconfig, which exists while there is a cluster."""
    return _folder() / "kubeconfig"


def kubectl() -> str:
    """Return the kubectl command: the machine's own, or a built one."""
    return "kubectl" if which("kubectl") else str(program("kubectl"))


def by_kind() -> bool:
    """True if kind is installed, and the Docker that it needs answers."""
    return which("kind") is not None and answers()


def _kind(say: Say) -> None:
    _folder().mkdir(parents=True, exist_ok=True)
    clusters = subprocess.run(
        command("kind", "get", "clusters"), capture_output=True, text=True, check=True
    )
    if KIND_NAME in clusters.stdout.split():
        say("it runs already")
        kind = command("kind", "export", "kubeconfig", "--name", KIND_NAME)
    else:
        kind = command("kind", "create", "cluster", "--name", KIND_NAME, "--wait", "3m")
    subprocess.run([*kind, "--kubeconfig", str(kubeconfig())], check=True)


def _start_node(say: Say) -> None:
    _folder().mkdir(parents=True, exist_ok=True)
    log = _folder() / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tools.local_kubernetes", "hold"],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # it continues after this program and its terminal
        )
    deadline = time.monotonic() + UP_SECONDS
    with log.open(encoding="utf-8", errors="replace") as lines:
        try:
            _follow(process, lines, say, deadline)
        except BaseException:  # also on Ctrl-C: leave nothing half-started behind
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(DOWN_SECONDS)
            raise


def _follow(
    process: subprocess.Popen[bytes], lines: Iterator[str], say: Say, deadline: float
) -> None:
    """Forward the lines of its log until it is ready."""
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        for line in lines:
            if line.strip() == _READY:
                return
            say(line.rstrip())
        if ended:
            raise ClusterError("the node did not start; see the lines above")
        time.sleep(_LOOK_SECONDS)
    raise ClusterError(f"the node was not ready after {UP_SECONDS:.0f} s")


def _folder() -> Path:
    return cache_folder() / "cluster"


def _print(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
