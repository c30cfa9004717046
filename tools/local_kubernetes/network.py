"""The node's network: a virtual cable between this machine and the node, and unused ranges.

    this machine  host 10.88.255.1 ────── 10.88.255.2 node ── pods 10.88.0.0/17
                                                          └── Services 10.96.0.0/16

With the routes set here, this machine reaches pods and Services by their addresses.
"""

from __future__ import annotations

import ipaddress
import json
import subprocess
from typing import NamedTuple, Self

from tools.local_kubernetes.machine import command, which

# The first ranges to try, as in Kubernetes' documentation. Any free range of 10/8 is suitable.
_FIRST_OF_PODS = 88
_FIRST_OF_SERVICES = 96


class Network(NamedTuple):
    """Addresses of a node; all but `host` are in its own network namespace."""

    host: str
    """This machine, as the node and its pods see it."""
    node: str
    pods: str
    services: str
    dns: str

    @classmethod
    def free(cls) -> Self:
        """Choose ranges to which no route of this machine leads."""
        routes = _routes()
        pods = _free_range(_FIRST_OF_PODS, routes)
        services = _free_range(_FIRST_OF_SERVICES, [*routes, pods])
        return cls(
            host=str(pods[255 * 256 + 1]),
            node=str(pods[255 * 256 + 2]),
            pods=str(next(pods.subnets())),
            services=str(services),
            dns=str(services[10]),
        )

    def connect(self, pid: int, link: str) -> None:
        """Create the cable to the network namespace of a process.

        It is removed with that namespace.

        Raises:
            subprocess.CalledProcessError: Linux rejected it.

        """
        _ip(f"link add {link} type veth peer name eth0 netns {pid}")
        _ip(f"address add {self.host}/30 dev {link}")
        _ip(f"link set {link} up")
        inside = command("nsenter", f"--target={pid}", "--net", which("ip") or "ip")
        for words in (
            "link set lo up",
            f"address add {self.node}/30 dev eth0",
            "link set eth0 up",
            f"route add default via {self.host}",
        ):
            subprocess.run([*inside, *words.split()], check=True)
        for reached in (self.pods, self.services):
            _ip(f"route add {reached} via {self.node}")


def _routes() -> list[ipaddress.IPv4Network]:
    said = _ip("-json -4 route show table all")
    words = [route.get("dst", "default") for route in json.loads(said or "[]")]
    return [ipaddress.IPv4Network(word, strict=False) for word in words if word[0].isdigit()]


def _free_range(first: int, taken: list[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
    candidates = [
        ipaddress.IPv4Network(f"10.{n}.0.0/16") for n in [*range(first, 256), *range(first)]
    ]
    for candidate in candidates:
        if not any(candidate.overlaps(other) for other in taken):
            return candidate
    raise OSError("no /16 of 10.0.0.0/8 is free of this machine's routes")


def _ip(words: str) -> str:
    return subprocess.run(
        command("ip", *words.split()), check=True, capture_output=True, text=True
    ).stdout
