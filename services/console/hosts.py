"""Names by which a browser may request the page.

The page has no login. A website that a user visits can make its own name resolve to
the console's address, and then read the page as its own (DNS rebinding). The header Host still has
that website's name. So only requests with names that no stranger can have are answered.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

# Top-level names that no one can register: https://www.rfc-editor.org/rfc/rfc6761 for localhost;
# Kubernetes resolves the others to Services.
_OURS = (".localhost", ".svc", ".svc.cluster.local")


def host_check(names: Collection[str]) -> Callable[[str | None], str | None]:
    """Make the check of a request's header Host.

    Args:
        names: Further names that are allowed, in lower or upper case, without a port.

    Returns:
        A function from the header, None if there is none, to the reason for a rejection, None if
        the request is answered.

    """
    known = {name.lower() for name in names}

    def check(header: str | None) -> str | None:
        if header is None:  # not from a browser
            return None
        name = _without_port(header).lower().rstrip(".")
        if _is_address(name) or "." not in name or name.endswith(_OURS) or name in known:
            return None
        return (
            f"the header Host names {name}; expected an address, localhost, a Service of "
            "Kubernetes (NAME.NAMESPACE.svc) or one of ALLOWED_HOSTS; add it there if it is yours"
        )

    return check


def _without_port(header: str) -> str:
    if header.startswith("["):
        return header[1:].partition("]")[0]
    return header.rpartition(":")[0] if header.count(":") == 1 else header


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
