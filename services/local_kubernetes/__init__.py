"""A real Kubernetes, for the tests and for whoever has no cluster: an API server, or a whole node.

Used as in

    with ControlPlane() as cluster:
        cluster.kubectl("apply", "-f", "k8s/crds")

A `Node` is the same and runs pods too; `Docker` and `build` make the image for them.
"""

from services.local_kubernetes.control_plane import ControlPlane, ControlPlaneError
from services.local_kubernetes.docker import Docker, DockerError
from services.local_kubernetes.image import build
from services.local_kubernetes.machine import MachineError
from services.local_kubernetes.node import Node
from services.local_kubernetes.programs import ProgramError, program

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
