"""Each alert fires once for a fault that is made, and ends when it is mended.

The services, the broker, the API server and Prometheus are real, and so are the
rules, but for their times: a second for a minute.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import ExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, Self

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from kafka.admin import KafkaAdminClient
from kafka.protocol.admin import AlterClientQuotasRequest

from services.certificates import Authority
from tests.monitoring.alert_rules import a_second_for_a_minute, alerts, rule_file
from tests.monitoring.prometheus import Prometheus
from tests.operator.system import Operated, rule
from tests.support.kafka import make_topics
from tests.support.streaming import Service, produce, until
from tools.demo.tally import ends
from tools.local_kafka import Broker, create_topics
from tools.this_machine import free_ports

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.kubernetes import ApiServer
    from tests.support.streaming import Topics

pytestmark = [pytest.mark.kafka, pytest.mark.kubernetes]

RATE = 500
# For an alert to come, or to end; the longest takes 45 s on an idle machine.
ALERT_SECONDS = 300.0
# Of a transaction, so many are read where they come faster than that: about half of them.
SLOW_BYTES = 40
# A broker gives what a quota allows in pieces of so many seconds less one, usually ten; with a
# second for a minute that would be ten minutes, the window of an alert.
QUOTA = {"quota.window.num": "2"}
# How long all has to be quiet at first, with every `for` behind it.
QUIET_SECONDS = 16.0
# A share's median is its usual once it has lasted longer than the wave.
USUAL_SECONDS = 45.0
# The broker of the tests does not forget commits.
NOT_MADE = {"FraudCommitForgotten"}
NAMES = {alert["alert"] for alert in alerts(rule_file())}


class Watch:
    """The alerts of a Prometheus, and which of them have fired so far."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus
        self.seen: set[str] = set()

    def firing(self) -> set[str]:
        """The alerts that fire now."""
        found = self._prometheus.alerts()
        names = {one["labels"]["alertname"] for one in found if one["state"] == "firing"}
        self.seen |= names
        return names

    def until_fired(self, *names: str) -> None:
        """Wait until each of these has fired."""
        missing = set(names)

        def all_seen() -> bool:
            self.firing()
            missing.difference_update(self.seen)
            return not missing

        try:
            until(all_seen, f"{names} fired", ALERT_SECONDS)
        except AssertionError:
            pytest.fail(f"these did not fire: {sorted(missing)}")

    def until_quiet(self, seconds: float = 0.0) -> None:
        """Wait until nothing fires for so long."""
        began = time.monotonic()

        def quiet() -> bool:
            nonlocal began
            if self.firing():
                began = time.monotonic()
                return False
            return time.monotonic() - began >= seconds

        until(quiet, "all is quiet", ALERT_SECONDS)


class BadRecords:
    """Records that are no transactions, one in six of all, until the `with` block ends."""

    def __init__(self, broker: Broker, topic: str) -> None:
        self._broker, self._topic = broker, topic
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _write(self) -> None:
        while not self._stop.wait(0.2):  # their pace
            produce(self._broker, self._topic, [(b"x", b"{}")] * (RATE // 25))


class System:
    """An operator, a detector, a generator, and Prometheus that scrapes them with our rules."""

    def __init__(self, server: ApiServer, broker: Broker, topics: Topics, folder: Path) -> None:
        self.broker, self.topics = broker, topics
        (operator_port, generator_port) = free_ports(2)
        self.operated = Operated(server, folder, STATUS_PORT=str(operator_port))
        self.certificate = folder / "ca.crt"
        self.write_certificate(365)
        environment = topics.environment(broker) | {
            "STATUS_PORT": str(generator_port),
            "TRANSACTIONS_PER_SECOND": str(RATE),
            "KAFKA_SSL_CA_LOCATION": str(self.certificate),
        }
        self.generator = Service("generator", environment, folder / "generator.log")
        self._folder = folder
        self._ports = {"operator": operator_port, "generator": generator_port}
        self._admin = AdminClient({"bootstrap.servers": broker.bootstrap})

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self.operated)
            self.operated.apply(rule())
            self.detector = self.operated.add_detector(
                "detector-0", self.broker, self.topics, MAX_LATE_SECONDS="5", MAX_FUTURE_SECONDS="5"
            )
            self.operated.until_condition("high-amount", "Applied", "True")
            until(lambda: self.detector.lines("partitions ready"), "partitions are ready")
            stack.enter_context(self.generator)
            until(lambda: self.generator.lines("started"), "the generator started")
            self.prometheus = stack.enter_context(self._prometheus())
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _prometheus(self) -> Prometheus:
        rules = self._folder / "alerts.yaml"
        # A busy machine alone makes no record wait for so long.
        thresholds: dict[str, float | str] = {"lagRecords": 2 * RATE, "latencySeconds": "5.0"}
        text = a_second_for_a_minute(rule_file('namespace="fraud"', **thresholds))
        rules.write_text(text, encoding="utf-8")
        ports = self._ports | {"detector": self.detector.lines("started")[-1]["status_port"]}
        scrape = {name: [f"{name}-0@127.0.0.1:{port}"] for name, port in ports.items()}
        return Prometheus(self._folder, scrape, [rules])

    def lag(self) -> float:
        """Records that wait for a verdict, 0 where no detector reports them."""
        return sum(one.value for one in self.prometheus.query("fraud_consumer_lag_records"))

    def write_certificate(self, days: int) -> None:
        """Write another certificate, as a mounted Secret is swapped: whole."""
        new = self.certificate.with_suffix(".new")
        new.write_bytes(Authority.new("kafka", timedelta(days=days)).certificate)
        new.rename(self.certificate)

    def cut_the_log(self) -> None:
        """Delete all that the input topic has."""
        found = ends(self.broker.bootstrap, [self.topics.transactions])
        places = [
            TopicPartition(topic, partition, end) for (topic, partition), end in found.items()
        ]
        for done in self._admin.delete_records(places).values():
            done.result()

    def lose_records(self) -> None:
        """Delete records that the detector, which stands still for a moment, has not judged."""
        os.kill(self.detector.pid, signal.SIGSTOP)
        topic = [self.topics.transactions]
        before = ends(self.broker.bootstrap, topic)
        until(
            lambda: all(end > before[at] for at, end in ends(self.broker.bootstrap, topic).items()),
            "each partition has more records",
        )
        self.cut_the_log()
        os.kill(self.detector.pid, signal.SIGCONT)

    def take_no_verdicts(self) -> None:
        """Delete the topics of verdicts."""
        for done in self._admin.delete_topics([self.topics.legit, self.topics.fraud]).values():
            done.result()

    def take_verdicts(self) -> None:
        """Create the topics of verdicts again."""
        create_topics(
            self.broker.bootstrap, dict.fromkeys((self.topics.legit, self.topics.fraud), 4)
        )

    def slow_down_reading(self, bytes_per_second: float | None) -> None:
        """Let the broker give each client so much, None for as much as it takes."""
        quota = AlterClientQuotasRequest.EntryData
        everyone = quota.EntityData(entity_type="client-id", entity_name=None)
        change = quota.OpData(
            key="consumer_byte_rate",
            value=bytes_per_second or 0.0,
            remove=bytes_per_second is None,
        )
        request = AlterClientQuotasRequest(
            entries=[quota(entity=[everyone], ops=[change])], validate_only=False
        )
        # It sends such a request, and has no method for it.
        with KafkaAdminClient(bootstrap_servers=self.broker.bootstrap) as admin:
            response = admin._manager.run(admin._manager.send, request)
        assert [one.error_code for one in response.entries] == [0]


def wrong_input(system: System, watch: Watch) -> None:
    """What comes, what rules do with it, and what they look back over."""
    operated = system.operated
    system.write_certificate(1)
    system.lose_records()
    failing = rule("failing")
    lengths = "transaction.source.size() / (transaction.target.size() - 12)"
    failing["spec"]["expression"] = f"{lengths} > 0"
    count = {"name": "payments", "function": "Count", "groupBy": "source", "window": "30s"}
    looking_back = rule("looking-back", expression="payments > 1000", aggregates=[count])
    operated.apply(failing, looking_back)
    with BadRecords(system.broker, system.topics.transactions):
        watch.until_fired(
            *("FraudDeadLetters", "FraudRuleErrors", "FraudCertificateEnds"),
            *("FraudWindowsShort", "FraudLogChanged"),
        )
    operated.kubectl("delete", "fraudrule", "failing")
    system.write_certificate(365)


def unusual_verdicts(system: System, watch: Watch) -> None:
    """A rule that everything matches."""
    system.operated.apply(rule("everything", limit=0.0))
    watch.until_fired("FraudShareUnusual")
    system.operated.kubectl("delete", "fraudrule", "everything")


def no_output(system: System, watch: Watch) -> None:
    """Nothing can be written, and a node has lost its kubelet."""
    system.take_no_verdicts()
    system.operated.pods.freeze("detector-0")
    system.operated.apply(rule(limit=800.0))
    watch.until_fired(
        *("FraudAborts", "FraudNoProgress", "FraudPartitionStuck", "FraudRulesetNotApplied")
    )
    system.take_verdicts()
    system.operated.pods.run("detector-0")


def slow_reading(system: System, watch: Watch) -> None:
    """Transactions come faster than they are read."""
    system.slow_down_reading(RATE * SLOW_BYTES)
    try:
        watch.until_fired("FraudLagGrowing", "FraudLatencyBurningFast", "FraudLatencyBurningSlowly")
    finally:
        system.slow_down_reading(None)


def all_lost(system: System, watch: Watch) -> None:
    """All that runs is lost, and the detector comes back while Kafka is slow."""
    operator = system.operated.operator
    system.detector.kill()
    operator.kill()
    watch.until_fired("FraudNoDetector", "FraudNoOperator")
    # It comes back with a webhook whose configuration is not there.
    (port,) = free_ports(1)
    operator.add_environment(WEBHOOK_PORT=str(port), WEBHOOK_CONFIGURATION="nowhere")
    operator.start()
    system.slow_down_reading(1000)
    try:
        system.detector.start()
        watch.until_fired("FraudWindowsRebuilding", "FraudStreamSilent", "FraudReviewsFail")
        before = system.lag()
        until(lambda: system.lag() > before, "lag grows while windows are rebuilt")
    finally:
        system.slow_down_reading(None)
    operator.stop()
    operator.add_environment(WEBHOOK_PORT="0")
    operator.start()


@pytest.mark.usefixtures("installed")
def test_each_alert_fires_for_a_fault_and_ends_when_it_is_mended(
    api_server: ApiServer, tmp_path: Path
) -> None:
    """Takes three minutes: the alerts wait, even if they take a second for a minute."""
    with (
        Broker(properties=QUOTA) as broker,
        System(api_server, broker, make_topics(broker), tmp_path) as system,
    ):
        watch, operated = Watch(system.prometheus), system.operated
        began = time.monotonic()
        watch.until_quiet(QUIET_SECONDS)
        watch.seen.clear()  # a busy machine makes some late at the start

        wrong_input(system, watch)
        until(lambda: time.monotonic() - began > USUAL_SECONDS, "what is usual is known")
        unusual_verdicts(system, watch)
        no_output(system, watch)
        slow_reading(system, watch)

        # More than a minute has passed, so the status has been told anew.
        told = until(lambda: operated.get("high-amount")["status"]["matches"]["enforce"], "told")
        assert told > RATE

        all_lost(system, watch)
        watch.until_quiet()
        assert watch.seen == NAMES - NOT_MADE
