"""A whole cluster of one node on this machine, with pods, Services and DNS.

It consists of Kubernetes' own programs and of Debian's containerd, runc and network plugins, in
separate namespaces (`namespaces.py`). Images are not pulled: they are imported, or
pushed to the node's own registry.
"""

from __future__ import annotations

import platform
import subprocess
import time
from typing import IO, TYPE_CHECKING

from tools.local_kubernetes import node_files
from tools.local_kubernetes.archives import image_of
from tools.local_kubernetes.control_plane import ControlPlane, ControlPlaneError
from tools.local_kubernetes.machine import NODE_PROGRAMS, environment, require
from tools.local_kubernetes.namespaces import Namespaces
from tools.local_kubernetes.network import Network
from tools.local_kubernetes.programs import program
from tools.local_kubernetes.registry import serve
from tools.local_kubernetes.state import StateFolder
from tools.this_machine import free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

# Seen: 8 s on two busy cores.
READY_SECONDS = 400.0
_LOOK_SECONDS = 0.2
NAME = "node"
_PAUSE = "localhost/pause:1"
_COREDNS = "localhost/coredns:1"
_LOGS = ("kubelet", "containerd", "kube-proxy", "kube-controller-manager", "kube-scheduler")


class Node(ControlPlane):
    """A cluster of one node, which ends with the process that started it.

    This machine reaches its pods and Services by their addresses, and its pods reach this machine
    by `network.host`. Several can run at a time.

    Args:
        say: Called with each line of progress.

    """

    def __init__(self, say: Callable[[str], None] = lambda _: None) -> None:
        require(NODE_PROGRAMS, "a node")
        self._say = say
        # Build these first, because that takes minutes.
        for name in ("etcd", "kube-apiserver", "kubelet", "coredns"):
            program(name)
        self.network = Network.free()
        self._state = StateFolder()
        (port,) = free_ports(1)
        self.registry = f"localhost:{port}"
        """Address to which this machine pushes images, and prefix of their names in the node."""
        super().__init__(self.network.node, self.network.services, self._state.path)
        self._namespaces = Namespaces(node_files.preparation(self.folder), network=True)
        self._write_configuration()

    def start(self) -> None:
        """Start, and return when pods can run and DNS answers.

        Raises:
            ControlPlaneError: A program exited, or was not ready in time.

        """
        self._state.make_control_group()
        self._namespaces.start()
        self.network.connect(self._namespaces.pid, self._state.link)
        self._say("starting containerd and the API server")
        self._spawn("containerd", [f"--config={self.folder}/containerd.toml"])
        self._serve_images()
        super().start()
        self._wait(self._containerd_answers, "containerd")
        self._say("starting kubelet")
        for name, arguments in self._node_programs().items():
            self._spawn(name, arguments)
        for name, image in (("pause", _PAUSE), ("coredns", _COREDNS)):
            self._import_bytes(image_of(program(name), image, platform.machine()))
        self.kubectl("apply", "-f", "-", stdin=node_files.coredns(_COREDNS, self.network.dns))
        self._wait(self._is_ready, "the node")
        self._say("starting the cluster's DNS")
        self._wait(self._names_are_answered, "the cluster's DNS")

    def stop(self, *, kill: bool = False) -> None:
        """Stop everything, pods too, at once; a start continues with the same data."""
        del kill  # the same for a node, which has nothing to lose
        self._namespaces.stop()
        for process in self._processes.values():
            process.kill()  # the registry, the only one outside of the namespaces
            process.wait()
        self._processes = {}

    def close(self) -> None:
        """Stop, and leave nothing behind."""
        super().close()
        self._state.remove()

    def import_image(self, archive: IO[bytes]) -> None:
        """Load an image, in the format of `docker save`, into the node.

        Raises:
            ControlPlaneError: containerd rejected it.

        """
        done = subprocess.run(
            self._ctr("images", "import", "-"),
            stdin=archive,
            capture_output=True,
            check=False,
            env=environment(),
        )
        if done.returncode:
            raise ControlPlaneError(done.stderr.decode(errors="replace"))

    def inside(self, command: Sequence[str]) -> list[str]:
        """Return the command that runs another command in the node's namespaces."""
        return self._namespaces.inside(command)

    @property
    def containerd_socket(self) -> Path:
        """Socket of containerd for `ctr`; Kubernetes' images are in the namespace k8s.io."""
        return self.folder / "containerd.sock"

    def ended(self) -> str:
        """Return the name of a program of the node that has exited; empty if all run."""
        return next((name for name, one in self._processes.items() if one.poll() is not None), "")

    @property
    def pid(self) -> int:
        """Id of the process with which all processes of the node end."""
        return self._namespaces.pid

    def _import_bytes(self, archive: bytes) -> None:
        path = self.folder / "image.tar"
        path.write_bytes(archive)
        with path.open("rb") as file:
            self.import_image(file)
        path.unlink()

    def _ctr(self, *arguments: str) -> list[str]:
        address = f"--address={self.containerd_socket}"
        return self.inside(["ctr", address, "--namespace=k8s.io", *arguments])

    def _command(self, name: str, arguments: Sequence[str]) -> list[str]:
        path = name if name == "containerd" else str(program(name))
        return self.inside([path, *arguments])

    def _serve_images(self) -> None:
        command = serve(self.folder / "images", int(self.registry.split(":")[1]))
        self._run("docker-registry", command)
        self._run("docker-registry-inside", self.inside(command))

    def _environment(self) -> dict[str, str]:
        return environment()

    def _server_mode(self) -> list[str]:
        return [
            "--authorization-mode=Node,RBAC",
            "--enable-admission-plugins=NodeRestriction",
            "--allow-privileged=true",
            f"--kubelet-client-certificate={self.folder}/admin.crt",
            f"--kubelet-client-key={self.folder}/admin.key",
            "--kubelet-preferred-address-types=InternalIP",
        ]

    def _node_programs(self) -> dict[str, list[str]]:
        admin = f"--kubeconfig={self.kubeconfig}"
        return {
            "kube-controller-manager": [
                admin,
                f"--service-account-private-key-file={self.folder}/accounts.key",
                f"--root-ca-file={self.folder}/ca.crt",
                "--use-service-account-credentials=false",
                "--leader-elect=false",
                "--bind-address=127.0.0.1",
            ],
            "kube-scheduler": [admin, "--leader-elect=false", "--bind-address=127.0.0.1"],
            "kubelet": [
                f"--config={self.folder}/kubelet.yaml",
                f"--kubeconfig={self.folder}/kubelet.kubeconfig",
                f"--hostname-override={NAME}",
                f"--node-ip={self.network.node}",
            ],
            "kube-proxy": [
                admin,
                "--proxy-mode=iptables",
                f"--cluster-cidr={self.network.pods}",
                f"--hostname-override={NAME}",
                # Belongs to this machine, so the node must not set it.
                "--conntrack-max-per-core=0",
            ],
        }

    def _write_configuration(self) -> None:
        files = {
            "containerd.toml": node_files.containerd(self.folder, _PAUSE),
            "cni/pods.conflist": node_files.pod_network(self.network),
            "kubelet.yaml": node_files.kubelet(self.folder, self.network, self._state.name),
            # Names outside the cluster are not resolved, because nothing in it needs them.
            "resolv.conf": "",
        }
        (self.folder / "cni").mkdir()
        for name, text in files.items():
            (self.folder / name).write_text(text, encoding="utf-8")
        kubelet = self._user(f"system:node:{NAME}", "system:nodes")
        self.write_kubeconfig("kubelet", kubelet)
        self._issue("kubelet", [NAME, self.network.node])

    def _wait(self, happened: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not happened():
            if self.ended() or time.monotonic() > deadline:
                raise ControlPlaneError(f"{what} did not start; the logs end:\n{self._log_ends()}")
            time.sleep(_LOOK_SECONDS)

    def _containerd_answers(self) -> bool:
        command = self._ctr("version")
        return not subprocess.run(
            command, capture_output=True, check=False, env=environment()
        ).returncode

    def _is_ready(self) -> bool:
        path = 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}'
        return self.kubectl("get", "nodes", "-o", path) == "True"

    def _names_are_answered(self) -> bool:
        path = "jsonpath={.status.readyReplicas}"
        return self.kubectl("-n", "kube-system", "get", "deployment/coredns", "-o", path) == "1"

    def _log_ends(self) -> str:
        return "\n".join(f"--- {name}\n{self._log_end(name, 8)}" for name in _LOGS)
