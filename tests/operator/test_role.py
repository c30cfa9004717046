"""The operator under exactly its Role: nothing more is granted, and nothing less is enough."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from services.telemetry import StatusServer
from tests.charts.rendering import OURS, pick, render
from tests.operator.system import Operated, rule
from tests.support.streaming import until
from tools.local_kubernetes import ControlPlaneError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.kubernetes import ApiServer

pytestmark = pytest.mark.kubernetes

NAME = "fraud-detection-operator"
# A server-side apply that creates is a patch to the audit log, and needs both rights.
SEEN_AS = {("configmaps", "create"): ("configmaps", "patch")}
# Asked for where an object of before gets an owner, and never used.
ASKED_FOR = ("configmaps", "delete")


def under_role(server: ApiServer, folder: Path, remove: tuple[int, str] | None = None) -> Operated:
    """A system whose operator has the chart's Role, or that without one verb of one rule."""
    system = Operated(server, folder)
    objects = render(OURS, namespace=system.namespace)
    role = pick(objects, "Role")
    if remove is not None:
        index, verb = remove
        role["rules"][index]["verbs"].remove(verb)
        role["rules"] = [one for one in role["rules"] if one["verbs"]]
    system.apply(pick(objects, "ServiceAccount"), role, pick(objects, "RoleBinding"))
    kubeconfig = server.account(system.namespace, NAME)
    system.operator.add_environment(KUBECONFIG=str(kubeconfig), CONFIG_MAP_OWNER=NAME)
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


def rejected(system: Operated) -> set[tuple[str, str]]:
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
    role = pick(render(OURS), "Role")
    with under_role(api_server, tmp_path) as system, ExitStack() as stack:
        exercise(system, stack)
        expected = {SEEN_AS.get(right, right) for right in granted(role) - {ASKED_FOR}}
        until(lambda: expected <= used(system), "all rights are used")
        assert rejected(system) == set()
        assert used(system) == expected


def test_the_config_maps_are_owned_by_the_service_account(
    api_server: ApiServer, tmp_path: Path
) -> None:
    system = under_role(api_server, tmp_path)
    # As an operator that knew of no owner has left it.
    system.kubectl("create", "configmap", "fraud-detection-rules")
    uid = system.kubectl("get", "serviceaccount", NAME, "-o=jsonpath={.metadata.uid}")
    path = "-o=jsonpath={.items[*].metadata.ownerReferences[*].uid}"
    names = ("fraud-detection-rules", "fraud-detection-detectors")

    def owned() -> bool:
        try:
            return system.kubectl("get", "configmap", *names, path) == f"{uid} {uid}"
        except ControlPlaneError:  # not made yet
            return False

    with system:
        until(owned, "both belong to the service account")


def test_rights_that_are_taken_and_given_back_do_not_end_the_operator(
    api_server: ApiServer, tmp_path: Path
) -> None:
    """Its watches fail for longer than the 11 s after which it ended once."""
    system = under_role(api_server, tmp_path)
    system.operator.add_environment(WATCH_TIMEOUT_SECONDS="20")

    def tried_for_long() -> bool:
        assert system.operator.alive
        return "Request attempt #7 failed" in system.operator.text()

    with system:
        system.apply(rule())
        system.until_condition("high-amount", "Ready", "True")
        system.kubectl("delete", "rolebinding", NAME)
        until(tried_for_long, "the operator tries to watch again")
        system.apply(pick(render(OURS, namespace=system.namespace), "RoleBinding"))
        system.apply(rule("second"))
        system.until_condition("second", "Ready", "True")
        assert system.operator.alive


def test_without_any_one_verb_the_operator_is_refused(
    api_server: ApiServer, tmp_path: Path
) -> None:
    """A dozen operators at once, each without one right.

    Without that to delete nothing is missed here: no ConfigMap is one of before.
    """
    rules = pick(render(OURS), "Role")["rules"]
    verbs = [
        (i, one["resources"][0], verb)
        for i, one in enumerate(rules)
        for verb in one["verbs"]
        if (one["resources"][0], verb) != ASKED_FOR
    ]
    with ExitStack() as stack:
        systems = [
            stack.enter_context(under_role(api_server, tmp_path / f"{i}-{verb}", (i, verb)))
            for i, _, verb in verbs
        ]
        for system, (_, resource, verb) in zip(systems, verbs, strict=True):
            exercise(system, stack) if (resource, verb) == ("pods", "patch") else system.apply(
                rule()
            )
            right = SEEN_AS.get((resource, verb), (resource, verb))
            until(lambda: right in rejected(system), f"{verb} {resource} is missed")  # noqa: B023 - called at once
