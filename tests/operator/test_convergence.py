"""Whatever happens, what should be comes to be, and is written once."""

from __future__ import annotations

import itertools
import json
import random
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lightkube import Client, KubeConfig
from lightkube.types import PatchType

from services.operator.cluster import FraudRule
from services.telemetry import StatusServer
from tests.operator.silence import Proxy
from tests.operator.system import Operated, rule
from tests.support.kubernetes import ApiServer
from tests.support.streaming import until

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.streaming import Topics
    from tools.local_kafka import Broker

pytestmark = pytest.mark.kubernetes

RULES_MAP = "fraud-detection-rules"
MANAGER = "fraud-detection-operator"


def decides(document: dict[str, Any]) -> dict[str, int]:
    """The generation of each rule in a document."""
    return {i["metadata"]["name"]: i["metadata"]["generation"] for i in document.get("items", ())}


def writes(system: Operated) -> Counter[str]:
    """How often the operator wrote what in its namespace."""
    return Counter(
        event["objectRef"]["resource"] + "/" + event["objectRef"].get("subresource", "")
        for event in system.server.audit(namespace=system.namespace)
        if (MANAGER in event["requestURI"] or event["objectRef"]["resource"] == "events")
        and event["objectRef"]["resource"] != "leases"  # which is renewed all the time
    )


def until_ready(system: Operated, names: Iterable[str]) -> None:
    for name in names:
        system.until_condition(name, "Ready", "True")


def told_twice(system: Operated) -> list[tuple[Any, ...]]:
    """What was told in more than one Event; each has its generation in the message."""
    told = Counter(
        (e["involvedObject"]["uid"], e["reason"], e["message"]) for e in system.all_events()
    )
    return [key for key, n in told.items() if n > 1]


def test_a_config_map_that_someone_edits_or_deletes_is_repaired(
    api_server: ApiServer, tmp_path: Path
) -> None:
    with Operated(api_server, tmp_path) as system:
        system.apply(rule())
        good = system.until_published(lambda d: decides(d) == {"high-amount": 1}, "published")
        system.kubectl(
            "patch", "configmap", RULES_MAP, "--type=merge", "-p", '{"data":{"ruleset.json":"{}"}}'
        )
        system.until_published(lambda d: d == good, "the edit is undone")
        system.kubectl("delete", "configmap", RULES_MAP)
        system.until_published(lambda d: d == good, "it is there again")


def test_an_edit_of_the_document_while_no_operator_runs_is_not_taken_for_the_last_good_version(
    api_server: ApiServer, tmp_path: Path
) -> None:
    with Operated(api_server, tmp_path) as system:
        system.apply(rule())
        system.until_published(lambda d: decides(d) == {"high-amount": 1}, "published")
        system.kill_operator()
        document = system.kubectl("get", "configmap", RULES_MAP, "-o", "yaml")
        system.kubectl("replace", "-f", "-", stdin=document.replace("900.0", "1.0"))
        bad = rule()
        bad["spec"]["expression"] = "transaction.amont >= 900.0"
        system.apply(bad)
        system.operator.start()
        system.until_condition("high-amount", "Ready", "False", "InvalidExpression")
        system.until_published(lambda d: decides(d) == {}, "nothing of it decides")


def test_five_hundred_rules_at_once_are_written_once_each(
    api_server: ApiServer, tmp_path: Path
) -> None:
    names = [f"rule-{i}" for i in range(500)]
    with Operated(api_server, tmp_path) as system:
        system.apply(*(rule(name) for name in names))
        system.until_published(lambda d: len(decides(d)) == 500, "all are published")
        until_ready(system, names[::50])
        until(lambda: len(system.all_events()) == 500, "all are told of")
        found = writes(system)
        assert found["fraudrules/status"] == 500
        assert found["events/"] == 500
        # A round takes what has come by then, so there are fewer rounds than rules.
        assert found["configmaps/"] < 200
        system.kubectl("delete", "--raw", system.rules_path)  # kubectl's own way is one by one
        system.until_published(lambda d: decides(d) == {}, "all are gone")
        assert writes(system)["fraudrules/status"] == 500


def test_when_all_is_as_it_should_be_nothing_is_written(
    api_server: ApiServer, tmp_path: Path
) -> None:
    with Operated(api_server, tmp_path) as system:
        system.apply(rule(), rule("bad", mode="Shadow"))
        until_ready(system, ["high-amount", "bad"])
        settled = writes(system)
        system.kubectl("annotate", "fraudrule", "high-amount", "note=looked-at")
        system.operator.stop()
        system.operator.start()
        until(lambda: len(system.operator.lines("started")) == 2, "started again")
        until(lambda: system.operator.get("/readyz")[0] == 200, "a round is made")
        system.kubectl("annotate", "fraudrule", "high-amount", "note=again", "--overwrite")
        time.sleep(2)  # long enough for the rounds that these cause; there is nothing to wait for
        assert writes(system) == settled


def test_matches_that_rise_all_the_time_are_not_written_all_the_time(
    api_server: ApiServer, tmp_path: Path
) -> None:
    """The detector has an older ruleset, so the operator asks it ten times a second."""
    asked = itertools.count(1)

    def page() -> bytes:
        matches = {"high-amount": {"Enforce": 1000 * next(asked)}}
        told = {"hash": "old", "inForce": {}, "recent": {"since": 0.0, "matches": matches}}
        return json.dumps(told).encode()

    endpoint = StatusServer(0, live=lambda: None, ready=lambda: None, pages={"/ruleset": page})
    with Operated(api_server, tmp_path) as system:
        system.pods.create("detector-a", endpoint.start())
        system.pods.run("detector-a")
        system.apply(rule())
        matches = until(lambda: system.get("high-amount").get("status", {}).get("matches"), "told")
        told, before = writes(system), next(asked)
        until(lambda: next(asked) > before + 30, "it was asked many times")
        assert writes(system)["fraudrules/status"] == told["fraudrules/status"]
        assert system.get("high-amount")["status"]["matches"] == matches
    endpoint.stop()


def test_a_ruleset_that_grows_too_large_keeps_what_it_has_and_takes_the_rest_when_there_is_room(
    api_server: ApiServer, tmp_path: Path
) -> None:
    accounts = ", ".join(f"'account{i:05d}'" for i in range(250))  # 4 KB
    large = [
        rule(
            f"large-{i:03d}",
            description="x" * 1000,
            expression=f"transaction.source in [{accounts}]",
        )
        for i in range(230)
    ]
    with Operated(api_server, tmp_path) as system:
        system.apply(rule())
        system.until_condition("high-amount", "Ready", "True")
        system.apply(*large)
        message = until(lambda: too_large(system), "there is no more room")
        assert "all rules together may take 1000000" in message
        system.until_condition("high-amount", "Ready", "True")
        kept = decides(system.published())
        assert 150 < len(kept) < 231
        system.kubectl("delete", "fraudrules", *sorted(kept)[1:60])
        until(lambda: not too_large(system), "all that is left fits")
        assert len(decides(system.published())) == 231 - 59


def too_large(system: Operated) -> str:
    """The message of a rule that is refused for its size, or nothing."""
    return next(
        (
            condition["message"]
            for found in system.all_rules()
            for condition in found.get("status", {}).get("conditions", ())
            if condition["reason"] == "RulesetTooLarge"
        ),
        "",
    )


@pytest.mark.kafka
def test_an_operator_that_is_killed_twenty_times_converges_to_the_same(
    api_server: ApiServer, broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    """Takes 50 s: each kill needs a start of the operator, about 1.5 s."""
    rng = random.Random(20)
    with Operated(api_server, tmp_path) as system:
        system.add_detector("detector-a", broker, topics)
        for n in range(20):
            system.apply(*(rule(f"rule-{i}", limit=float(n + 2)) for i in range(n % 4, 8)))
            system.kubectl("delete", "fraudrule", f"rule-{n % 4}", "--ignore-not-found")
            time.sleep(rng.uniform(0.0, 2.0))  # the random point; there is no condition for it
            system.kill_operator()
            system.operator.start()
        kept = {found["metadata"]["name"]: found for found in system.all_rules()}
        for name in kept:
            system.until_condition(name, "Applied", "True")
        expected = {name: found["metadata"]["generation"] for name, found in kept.items()}
        assert decides(system.published()) == expected
        assert told_twice(system) == []


@pytest.mark.kafka
def test_an_edit_every_100_ms_for_a_minute_converges_with_no_more_writes_than_states(
    api_server: ApiServer, broker: Broker, topics: Topics, tmp_path: Path
) -> None:
    """Takes the minute that it is about."""
    with Operated(api_server, tmp_path) as system:
        system.add_detector("detector-a", broker, topics)
        system.apply(rule(), *(rule(f"other-{i}") for i in range(20)))
        system.until_condition("high-amount", "Applied", "True")
        before, memory = writes(system), resident_bytes(system)
        client = Client(
            KubeConfig.from_file(str(api_server.kubeconfig)), namespace=system.namespace
        )
        begun = time.monotonic()
        edits = 600
        for n in range(edits):
            spec = {"spec": {"expression": f"transaction.amount >= {n + 1000}.0"}}
            client.patch(FraudRule, "high-amount", spec, patch_type=PatchType.MERGE)
            time.sleep(max(0.0, begun + (n + 1) / 10 - time.monotonic()))  # the pace of the edits
        client.close()
        message = system.until_condition("high-amount", "Applied", "True")
        assert f"generation {edits + 1} " in message
        done = writes(system) - before
        grown = resident_bytes(system) - memory
        print(f"{edits} edits: {dict(done)}, memory {grown:+,} bytes")  # noqa: T201 - a figure for people
        # A state is published, applied and told at most once each.
        assert done["configmaps/"] <= 3 * edits
        assert done["fraudrules/status"] <= 2 * edits
        assert done["pods/"] <= edits
        assert told_twice(system) == []
        assert grown < 20 * 1024 * 1024


def resident_bytes(system: Operated) -> int:
    status = Path(f"/proc/{system.operator.pid}/status").read_text(encoding="utf-8")
    return 1024 * int(next(x for x in status.split("\n") if x.startswith("VmRSS")).split()[1])


def test_an_api_server_that_restarts_or_is_away_for_a_minute_is_waited_for(
    tmp_path: Path,
) -> None:
    """Takes 90 s: the minute, and three starts of an API server of its own."""
    with ApiServer() as server:
        server.install()
        with Operated(server, tmp_path) as system:
            system.apply(rule())
            system.until_condition("high-amount", "Ready", "True")
            server.stop(kill=True)
            server.start()
            system.apply(rule("second"))
            system.until_condition("second", "Ready", "True")
            server.stop(kill=True)
            time.sleep(60)  # the outage itself
            server.start()
            system.kubectl("delete", "fraudrule", "high-amount")
            system.apply(rule("third"))
            system.until_condition("third", "Ready", "True")
            system.until_published(lambda d: decides(d) == {"second": 1, "third": 1}, "converged")
            assert system.operator.alive
            assert told_twice(system) == []


def test_a_watch_that_has_gone_silent_is_made_anew(api_server: ApiServer, tmp_path: Path) -> None:
    with Proxy(api_server.port) as proxy:
        server = f"https://127.0.0.1:{proxy.port}"
        kubeconfig = api_server.write_kubeconfig("proxied", api_server.admin, server=server)
        settings = {"WATCH_TIMEOUT_SECONDS": "5"}
        with Operated(api_server, tmp_path, kubeconfig, **settings) as system:
            system.apply(rule())
            system.until_condition("high-amount", "Ready", "True")
            proxy.silence()
            system.apply(rule("second"))
            system.until_condition("second", "Ready", "True")
            assert proxy.connections_since_silence > 0
