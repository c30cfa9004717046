"""The operator under exactly its Role: nothing more is granted, and nothing less is enough."""

from __future__ import annotations

import copy
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from services.telemetry import StatusServer
from tests.operator.system import Operated, rule
from tests.streaming import until

if TYPE_CHECKING:
    from tests.kubernetes_fixtures import ApiServer

pytestmark = pytest.mark.kubernetes

ACCOUNT, ROLE, BINDING = yaml.safe_load_all(Path("k8s/operator/role.yaml").read_text("utf-8"))
NAME = "fraud-detection-operator"
# A server-side apply that creates is a patch to the audit log, and needs both rights.
SEEN_AS = {("configmaps", "create"): ("configmaps", "patch")}


def under_role(server: ApiServer, folder: Path, role: dict[str, Any]) -> Operated:
    """A system whose operator has its service account's rights, with this Role."""
    system = Operated(server, folder)
    binding = copy.deepcopy(BINDING)
    binding["subjects"][0]["namespace"] = system.namespace
    system.apply(ACCOUNT, role, binding)
    kubeconfig = server.account(system.namespace, NAME)
    system.operator.add_environment(KUBECONFIG=str(kubeconfig))
    return system


def exercise(system: Operated, stack: ExitStack) -> None:
    """Have the operator do all that it ever does, with a pod that has to be poked."""
    system.apply(rule())
    until(system.published, "the rules are published")
    system.pods.create("detector-a", stale_page(stack))
    system.pods.run("detector-a")
    system.kubectl("delete", "configmap", "fraud-detection-rules")


def stale_page(stack: ExitStack) -> int:
    """Serve a `/ruleset` that never takes up what is published; the port."""
    server = StatusServer(
        0,
        live=lambda: None,
        ready=lambda: None,
        pages={"/ruleset": lambda: b'{"hash": "old", "inForce": {}}'},
    )
    stack.callback(server.stop)
    return server.start()


def used(system: Operated) -> set[tuple[str, str]]:
    """The rights that the operator used: resource and verb."""
    events = system.server.audit(f"system:serviceaccount:{system.namespace}:{NAME}")
    return {
        (resource_of(event), event["verb"])
        for event in events
        if event.get("objectRef", {}).get("namespace") == system.namespace
    }


def resource_of(event: dict[str, Any]) -> str:
    reference = event["objectRef"]
    return "/".join(filter(None, (reference["resource"], reference.get("subresource"))))


def refused(system: Operated) -> set[tuple[str, str]]:
    """What the operator was forbidden: resource and verb."""
    events = system.server.audit(f"system:serviceaccount:{system.namespace}:{NAME}")
    return {
        (resource_of(event), event["verb"])
        for event in events
        if event["responseStatus"]["code"] == 403 and event["objectRef"].get("namespace")
    }


def granted(role: dict[str, Any]) -> set[tuple[str, str]]:
    return {(r, verb) for one in role["rules"] for r in one["resources"] for verb in one["verbs"]}


def test_what_the_role_grants_is_what_the_operator_uses(
    api_server: ApiServer, tmp_path: Path
) -> None:
    with under_role(api_server, tmp_path, ROLE) as system, ExitStack() as stack:
        exercise(system, stack)
        expected = {SEEN_AS.get(right, right) for right in granted(ROLE)}
        until(lambda: expected <= used(system), "all rights are used")
        assert refused(system) == set()
        assert used(system) == expected


def lesser_roles() -> list[tuple[str, str, dict[str, Any]]]:
    """The Role without one verb, for each of its verbs."""
    found = []
    for i, one in enumerate(ROLE["rules"]):
        for verb in one["verbs"]:
            lesser = copy.deepcopy(ROLE)
            lesser["rules"][i]["verbs"].remove(verb)
            if not lesser["rules"][i]["verbs"]:
                del lesser["rules"][i]
            found.append((one["resources"][0], verb, lesser))
    return found


def test_without_any_one_verb_the_operator_is_refused(
    api_server: ApiServer, tmp_path: Path
) -> None:
    """A dozen operators at once, each without one right."""
    roles = lesser_roles()
    with ExitStack() as stack:
        systems = [
            stack.enter_context(under_role(api_server, tmp_path / str(i), role))
            for i, (_, _, role) in enumerate(roles)
        ]
        for system, (resource, verb, _) in zip(systems, roles, strict=True):
            exercise(system, stack) if (resource, verb) == ("pods", "patch") else system.apply(
                rule()
            )
            right = SEEN_AS.get((resource, verb), (resource, verb))
            until(lambda: right in refused(system), f"{verb} {resource} is missed")  # noqa: B023 - called at once
