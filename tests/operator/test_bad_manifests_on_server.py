"""What kubectl says of every bad manifest, with the operator's own webhook behind the API server.

The whole module takes about 40 s: each manifest is a kubectl or two.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from services.cli import main
from tests.operator.bad_manifests import (
    REFUSED_BY_KUBECTL,
    REFUSED_BY_SCHEMA,
    REFUSED_BY_WEBHOOK,
    SEVERAL_DOCUMENTS,
)
from tests.operator.one_wrong import GOOD, BadManifest
from tests.support.streaming import Service, until
from tools.local_kubernetes import ControlPlaneError
from tools.this_machine import free_ports

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.kubernetes import ApiServer

pytestmark = pytest.mark.kubernetes

WEBHOOK = "fraudrules.frauddetection.io"
CONFIGURATION = "bad-manifests"
REFUSED = f'admission webhook "{WEBHOOK}" denied the request: '
UNTYPED = {**GOOD, "spec": {"expression": "transaction.amount >= 900"}}
DRY = "--dry-run=server"


class Gate:
    """A namespace whose rules the webhook is asked about."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self._server = server
        self._here = ("--namespace", namespace)

    def apply(self, text: str, *options: str) -> str:
        """Apply a manifest, which is taken."""
        return self._server.kubectl("apply", *self._here, *options, "-f", "-", stdin=text)

    def rejection(self, text: str, *options: str) -> str:
        """Apply a manifest, which has to be refused, and give what kubectl said."""
        return self._server.kubectl_fails("apply", *self._here, *options, "-f", "-", stdin=text)

    def stored(self, name: str = "bad-rule") -> dict[str, Any]:
        """A rule as the server has it, empty where it has none."""
        get = ("get", "fraudrule", name, "--ignore-not-found", "-o", "json", *self._here)
        found: dict[str, Any] = json.loads(self._server.kubectl(*get) or "{}")
        return found

    def delete(self, name: str) -> None:
        """Delete a rule."""
        self._server.kubectl("delete", "fraudrule", name, *self._here)

    def answers(self) -> bool:
        """Whether the webhook refuses a rule in its own words."""
        try:
            self.apply(json.dumps(UNTYPED), DRY)
        except ControlPlaneError as error:
            return "write 900.0" in str(error)
        return False


@pytest.fixture(scope="module")
def gate(api_server: ApiServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """A namespace, its operator, and the API server's trust in the operator's webhook."""
    namespace = api_server.new_namespace()
    (port,) = free_ports(1)
    settings = {
        "KUBECONFIG": str(api_server.kubeconfig),
        "OPERATOR_NAMESPACE": namespace,
        "WEBHOOK_PORT": str(port),
        "WEBHOOK_HOST": "127.0.0.1",
        "WEBHOOK_CONFIGURATION": CONFIGURATION,
    }
    log = tmp_path_factory.mktemp("operator") / "operator.log"
    configuration = json.dumps(webhook_configuration(namespace, port))
    api_server.kubectl("create", "-f", "-", stdin=configuration)
    try:
        with Service("operator", settings, log):
            gate = Gate(api_server, namespace)
            until(gate.answers, "the webhook answers")
            yield gate
    finally:
        api_server.kubectl("delete", "-f", "-", stdin=configuration)


def webhook_configuration(namespace: str, port: int) -> dict[str, Any]:
    """Ask the operator about the rules of one namespace; it adds its own authority."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": CONFIGURATION},
        "webhooks": [
            {
                "name": WEBHOOK,
                "clientConfig": {"url": f"https://127.0.0.1:{port}/fraudrule"},
                "rules": [
                    {
                        "apiGroups": ["frauddetection.io"],
                        "apiVersions": ["v1alpha1"],
                        "resources": ["fraudrules"],
                        "operations": ["CREATE", "UPDATE"],
                    }
                ],
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "timeoutSeconds": 5,
                "admissionReviewVersions": ["v1"],
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
            }
        ],
    }


def each(*manifests: BadManifest) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("bad", manifests, ids=lambda bad: bad.name)


def names_the_field(said: str, bad: BadManifest) -> bool:
    """Whether a text names the field, and not one below or beside it."""
    if bad.server_says:
        return bad.server_says in said
    return bool(re.search(rf"(?<![\w.]){re.escape(bad.field)}(?![\w.\[])", said))


def test_a_field_below_or_beside_another_is_not_taken_for_it() -> None:
    bad = BadManifest("", {}, "spec.examples[0]", "")
    assert names_the_field("* spec.examples[0]: Invalid value", bad)
    assert not names_the_field("* spec.examples[0].name: Invalid value", bad)
    assert not names_the_field("* my.spec.examples[0]: Invalid value", bad)


@each(*REFUSED_BY_KUBECTL, *REFUSED_BY_SCHEMA)
def test_what_is_no_fraud_rule_is_refused_before_the_webhook_is_asked(
    gate: Gate, bad: BadManifest
) -> None:
    said = gate.rejection(bad.text)
    assert names_the_field(said, bad)
    assert WEBHOOK not in said
    assert gate.stored() == {}


@each(*REFUSED_BY_WEBHOOK)
def test_kubectl_prints_what_fraud_rules_check_prints_word_for_word(
    gate: Gate, tmp_path: Path, capsys: pytest.CaptureFixture[str], bad: BadManifest
) -> None:
    said = gate.rejection(bad.text)
    assert names_the_field(said, bad)
    assert said.partition(REFUSED)[2] == words_of_check(bad, tmp_path, capsys)
    assert gate.stored() == {}


def words_of_check(bad: BadManifest, folder: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What `fraud rules check` prints, without the places in the file."""
    file = folder / "rules.yaml"
    file.write_text(bad.text, encoding="utf-8")
    assert main(["rules", "check", str(file)]) == 1
    return re.sub(rf"(?m)^{re.escape(str(file))}:\d+: bad-rule: ", "", capsys.readouterr().out)


@each(*REFUSED_BY_WEBHOOK)
def test_a_dry_run_is_refused_in_the_same_words(gate: Gate, bad: BadManifest) -> None:
    assert gate.rejection(bad.text, DRY) == gate.rejection(bad.text)


@each(*SEVERAL_DOCUMENTS)
def test_the_good_document_before_a_bad_one_is_taken(gate: Gate, bad: BadManifest) -> None:
    assert names_the_field(gate.rejection(bad.text), bad)
    assert gate.stored() == {}
    assert gate.stored("good-rule")["spec"]["expression"] == GOOD["spec"]["expression"]
    gate.delete("good-rule")


def test_a_good_rule_passes_a_dry_run_and_is_not_stored(gate: Gate) -> None:
    assert "created (server dry run)" in gate.apply(json.dumps(GOOD), DRY)
    assert gate.stored() == {}


def test_a_bad_edit_is_refused_and_the_rule_stays_as_it_was(gate: Gate) -> None:
    metadata = {"name": "edited-rule"}
    gate.apply(json.dumps(GOOD | {"metadata": metadata}))
    before = gate.stored("edited-rule")
    said = gate.rejection(json.dumps(UNTYPED | {"metadata": metadata}))
    assert said.partition(REFUSED)[2].startswith("spec.expression: `>=` does not take")
    assert gate.stored("edited-rule")["spec"] == before["spec"]
