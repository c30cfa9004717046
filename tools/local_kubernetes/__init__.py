"""A real Kubernetes, for the tests and for users without a cluster: an API server, or a node.

For example:

    with ControlPlane() as cluster:
        cluster.kubectl("apply", "-f", "k8s/crds")

A `Node` is the same and also runs pods; `Docker` and `build` make the image for them.
"""

from tools.local_kubernetes.control_plane import ControlPlane, ControlPlaneError
from tools.local_kubernetes.docker import Docker, DockerError
from tools.local_kubernetes.image import build
from tools.local_kubernetes.machine import MachineError
from tools.local_kubernetes.node import Node
from tools.local_kubernetes.programs import ProgramError, program

__all__ = [
    "ControlPlane",
    "ControlPlaneError",
    "Docker",
    "DockerError",
    "MachineError",
    "Node",
    "ProgramError",
    "build",
    "program",
]
