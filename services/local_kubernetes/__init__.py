"""A real Kubernetes API on loopback, for the tests and for whoever has no cluster.

Used as in

    with ControlPlane() as cluster:
        cluster.kubectl("apply", "-f", "k8s/crds")
"""

from services.local_kubernetes.control_plane import ControlPlane, ControlPlaneError
from services.local_kubernetes.programs import ProgramError, program

__all__ = ["ControlPlane", "ControlPlaneError", "ProgramError", "program"]
