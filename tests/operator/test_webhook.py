"""The admission webhook as the chart configures it: certificates, failures, edits."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import socket
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from services.certificates import Authority, expiry
from services.operator import webhook_certificates
from services.operator.cluster import Cluster
from services.operator.webhook_certificates import OwnCertificates
from tests.charts.rendering import OURS, pick, render
from tests.operator.system import Operated, rule
from tests.support.streaming import until
from tools.local_kubernetes import ControlPlaneError
from tools.this_machine import free_ports

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.kubernetes import ApiServer

pytestmark = pytest.mark.kubernetes

ACCOUNT = "fraud-detection-operator"
DAY = timedelta(days=1)
BAD: dict[str, Any] = rule("bad") | {"spec": {"expression": "transaction.amount >= 900"}}


class Webhooked(Operated):
    """A namespace whose operator answers for a webhook, with the rights of its Roles."""

    def __init__(
        self, server: ApiServer, folder: Path, policy: str = "Fail", **settings: str
    ) -> None:
        super().__init__(server, folder, None, **settings)
        (self.port,) = free_ports(1)
        self.operator.add_environment(WEBHOOK_PORT=str(self.port), WEBHOOK_HOST="127.0.0.1")
        webhook = {"webhook": {"failurePolicy": policy}}
        objects = render(OURS, namespace=self.namespace, operator=webhook)
        rights = {"ServiceAccount", "Role", "RoleBinding", "ClusterRoleBinding"}
        self.apply(*(o for o in objects if o["kind"] in rights | {"ClusterRole"}))
        kubeconfig = server.account(self.namespace, ACCOUNT)
        self.operator.add_environment(KUBECONFIG=str(kubeconfig))
        configuration = pick(objects, "ValidatingWebhookConfiguration")
        self.configuration = configuration["metadata"]["name"]
        # The operator is no pod here, and has no Service.
        address = {"url": f"https://127.0.0.1:{self.port}/fraudrule"}
        configuration["webhooks"][0]["clientConfig"] = address
        server.kubectl("create", "-f", "-", stdin=yaml.safe_dump(configuration))

    def __exit__(self, *details: object) -> None:
        super().__exit__(*details)
        self.server.kubectl("delete", "validatingwebhookconfiguration", self.configuration)

    def rejection(self, value: dict[str, Any]) -> str:
        """What kubectl says of a rule, or nothing where it is taken."""
        try:
            self.kubectl("apply", "--dry-run=server", "-f", "-", stdin=yaml.safe_dump(value))
        except ControlPlaneError as error:
            return str(error)
        return ""

    def trust(self, certificate: bytes) -> None:
        """Have the API server trust an authority."""
        bundle = base64.b64encode(certificate).decode()
        patch = f'[{{"op":"add","path":"/webhooks/0/clientConfig/caBundle","value":"{bundle}"}}]'
        self.server.kubectl(
            *("patch", "validatingwebhookconfiguration", self.configuration),
            *("--type=json", "-p", patch),
        )


def test_the_operators_own_authority_is_put_back_when_someone_takes_it_away(
    api_server: ApiServer, tmp_path: Path
) -> None:
    with Webhooked(api_server, tmp_path) as system:
        system.operator.stop()
        system.operator.add_environment(WEBHOOK_CONFIGURATION=system.configuration)
        system.operator.start()
        until(lambda: "write 900.0" in system.rejection(BAD), "the webhook answers")
        system.trust(Authority.new("another", DAY).certificate)
        until(lambda: "failed calling webhook" in system.rejection(BAD), "not trusted")
        until(lambda: "write 900.0" in system.rejection(BAD), "trusted again")


def test_certificates_that_cert_manager_renews_are_taken_up(
    api_server: ApiServer, tmp_path: Path
) -> None:
    folder = tmp_path / "secret"
    folder.mkdir()
    first, second = Authority.new("first", DAY), Authority.new("second", DAY)
    write(folder, first)
    settings = {"WEBHOOK_CERTIFICATE_PATH": str(folder)}
    with Webhooked(api_server, tmp_path, **settings) as system:
        system.operator.stop()
        system.operator.add_environment(WEBHOOK_CONFIGURATION=system.configuration)
        system.operator.start()
        until(lambda: "it is empty" in system.operator.get("/readyz")[1], "it is not trusted")
        system.trust(first.certificate)
        until(lambda: "write 900.0" in system.rejection(BAD), "the webhook answers")
        until(lambda: system.operator.get("/readyz")[0] == 200, "it is trusted")
        assert trusted(system) == 1.0
        write(folder, second)
        until(lambda: "verify failed" in system.operator.get("/readyz")[1], "renewed, not trusted")
        assert trusted(system) == 0.0
        system.trust(second.certificate)
        until(lambda: "write 900.0" in system.rejection(BAD), "with the new certificate")
        until(lambda: system.operator.get("/readyz")[0] == 200, "it is trusted again")
        for address in ("127.0.0.1", "::1"):
            socket.create_connection((address, system.port), timeout=60).close()


def trusted(system: Webhooked) -> float:
    """The metric of the API server's trust."""
    text = system.operator.get("/metrics")[1]
    found = re.search(r"^fraud_operator_webhook_trusted\{.*\} ([\d.]+)$", text, re.MULTILINE)
    assert found
    return float(found[1])


def write(folder: Path, authority: Authority) -> None:
    """Write a certificate as cert-manager does."""
    pair = authority.issue("webhook", DAY, hosts=["127.0.0.1"])
    (folder / "tls.crt").write_bytes(pair.certificate)
    (folder / "tls.key").write_bytes(pair.key)


@pytest.mark.parametrize(("policy", "said"), [("Fail", "failed calling webhook"), ("Ignore", "")])
def test_the_failure_policy_decides_while_the_operator_is_away(
    api_server: ApiServer, tmp_path: Path, policy: str, said: str
) -> None:
    with Webhooked(api_server, tmp_path, policy) as system:
        system.operator.kill()
        answer = system.rejection(BAD)
        assert said in answer
        assert bool(answer) == bool(said)


def test_a_rule_that_is_bad_already_can_be_labelled_and_deleted_but_not_made_worse(
    api_server: ApiServer, tmp_path: Path
) -> None:
    with Webhooked(api_server, tmp_path, "Ignore") as system:
        system.apply(BAD)  # the webhook is not trusted yet
        system.operator.stop()
        system.operator.add_environment(WEBHOOK_CONFIGURATION=system.configuration)
        system.operator.start()
        until(
            lambda: "write 900.0" in system.rejection(BAD | {"metadata": {"name": "other"}}), "on"
        )
        system.kubectl("label", "fraudrule", "bad", "team=risk")
        worse = rule("bad") | {"spec": {"expression": "transaction.amont >= 900.0"}}
        assert "did you mean" in system.rejection(worse)
        counted = system.operator.get("/metrics")[1]
        assert re.search(r'fraud_operator_reviews_total\{outcome="refused"\} [1-9]', counted)
        assert re.search(r'fraud_operator_reviews_total\{outcome="accepted"\} [1-9]', counted)
        system.kubectl("delete", "fraudrule", "bad")


def test_what_may_be_a_mistake_is_a_warning_of_kubectl(
    api_server: ApiServer, tmp_path: Path
) -> None:
    with Webhooked(api_server, tmp_path) as system:
        system.operator.stop()
        system.operator.add_environment(WEBHOOK_CONFIGURATION=system.configuration)
        system.operator.start()
        until(lambda: "write 900.0" in system.rejection(BAD), "the webhook answers")
        unguarded = rule("unguarded") | {"spec": {"expression": "transaction.country != 'US'"}}
        text = yaml.safe_dump(unguarded)
        warned = system.server.kubectl_warns("-n", system.namespace, "apply", "-f", "-", stdin=text)
        assert "Warning: `country` may be missing" in warned


def test_an_own_certificate_is_renewed_before_it_ends(
    api_server: ApiServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(api_server.kubeconfig))
    monkeypatch.setattr(webhook_certificates, "_RENEW_AT", webhook_certificates.LIFETIME)

    async def renewed() -> tuple[bytes, bytes]:
        cluster = Cluster("default")
        own = OwnCertificates("127.0.0.1", cluster, "", lambda: True)
        before = own.file.read_bytes()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(own.keep(), 1)
        after = own.file.read_bytes()
        own.close()
        await cluster.close()
        return before, after

    before, after = asyncio.run(renewed())
    assert before != after
    assert expiry(after) >= expiry(before)
