from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec
import pytest

from services import settings as module
from services.console.settings import ConsoleSettings
from services.detector.settings import DetectorSettings
from services.generator.settings import GeneratorSettings
from services.settings import KafkaSettings, SettingError, load, variables

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICES: list[type[KafkaSettings]] = [DetectorSettings, GeneratorSettings, ConsoleSettings]
VALID = {
    "TRANSACTIONS_PER_SECOND": "5",
    "TRANSACTIONS_SEED": "5",
    "TRANSACTIONS_COUNT": "5",
    "TRANSACTIONS_PROFILE": "accounts",
    "TRANSACTIONS_ACCOUNTS": "50",
    "SCORE_THRESHOLD": "5",
    "MAX_FUTURE_SECONDS": "5",
    "MAX_LATE_SECONDS": "5",
    "STATUS_PORT": "5",
    "DELIVERY": "at_least_once",
    "LOG_LEVEL": "debug",
    "KAFKA_SECURITY_PROTOCOL": "SSL",
    "KAFKA_SASL_MECHANISM": "PLAIN",
    "KAFKA_SSL_KEY_LOCATION": "key.pem",
    "KAFKA_SSL_CERTIFICATE_LOCATION": "cert.pem",
}


def mistake(cls: type[KafkaSettings], environ: Mapping[str, str]) -> str:
    with pytest.raises(SettingError) as caught:
        load(cls, environ)
    return str(caught.value)


@pytest.mark.parametrize("cls", SERVICES)
def test_an_empty_environment_gives_the_defaults(cls: type[KafkaSettings]) -> None:
    assert load(cls, {}) == cls()


def test_the_defaults_are_those_of_the_seed() -> None:
    loaded = load(DetectorSettings, {})
    assert loaded.kafka_broker_url == "localhost:9092"
    assert loaded.transactions_topic == "queueing.transactions"
    assert loaded.legit_topic == "streaming.transactions.legit"
    assert loaded.fraud_topic == "streaming.transactions.fraud"


def test_variables_are_converted_to_the_types_of_their_fields() -> None:
    environ = {"KAFKA_BROKER_URL": "a:1,b:2", "STATUS_PORT": "8080", "MAX_FUTURE_SECONDS": "0.5"}
    loaded = load(DetectorSettings, environ)
    assert loaded.kafka_broker_url == "a:1,b:2"
    assert loaded.status_port == 8080
    assert loaded.max_future_seconds == 0.5


def test_a_variable_set_to_nothing_is_not_set() -> None:
    assert load(KafkaSettings, {"STATUS_PORT": "", "KAFKA_BROKER_URL": ""}) == KafkaSettings()


@pytest.mark.parametrize("number", ["0.1", "12.5", "max"])
def test_a_rate_is_a_number_or_max(number: str) -> None:
    loaded = load(GeneratorSettings, {"TRANSACTIONS_PER_SECOND": number})
    assert str(loaded.transactions_per_second) == number


@pytest.mark.parametrize(
    ("cls", "name", "value", "expected"),
    [
        (KafkaSettings, "STATUS_PORT", "70000", "a whole number from 0 to 65535"),
        (KafkaSettings, "STATUS_PORT", "-1", "a whole number from 0 to 65535"),
        (KafkaSettings, "STATUS_PORT", "http", "a whole number from 0 to 65535"),
        (KafkaSettings, "STATUS_PORT", "80.5", "a whole number from 0 to 65535"),
        (KafkaSettings, "LOG_LEVEL", "loud", "one of debug, error, info, warning"),
        (DetectorSettings, "DELIVERY", "twice", "one of at_least_once, exactly_once"),
        (DetectorSettings, "MAX_FUTURE_SECONDS", "inf", "a finite number from 0"),
        (DetectorSettings, "MAX_FUTURE_SECONDS", "nan", "a finite number from 0"),
        (DetectorSettings, "MAX_FUTURE_SECONDS", "1e999", "a finite number from 0"),
        (
            GeneratorSettings,
            "TRANSACTIONS_PER_SECOND",
            "fast",
            "a finite number from 0.1 to 10000000 or max",
        ),
        (GeneratorSettings, "TRANSACTIONS_COUNT", "0", "a whole number from 1"),
        (GeneratorSettings, "TRANSACTIONS_COUNT", "many", "a whole number from 1"),
        (GeneratorSettings, "TRANSACTIONS_PROFILE", "zipf", "one of accounts, uniform"),
        (GeneratorSettings, "TRANSACTIONS_ACCOUNTS", "9", "a whole number from 10 to 10000000"),
        (
            GeneratorSettings,
            "TRANSACTIONS_ACCOUNTS",
            "10000001",
            "a whole number from 10 to 10000000",
        ),
    ],
)
def test_a_value_that_does_not_fit_is_said_with_what_would(
    cls: type[KafkaSettings], name: str, value: str, expected: str
) -> None:
    assert mistake(cls, {name: value}) == f"{name} is {value!r}; expected {expected}"


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("TRANSACTION_TOPIC", "TRANSACTIONS_TOPIC"),
        ("TRANSACTIONS_TOPICS", "TRANSACTIONS_TOPIC"),
        ("KAFKA_BROKERS_URL", "KAFKA_BROKER_URL"),
        ("KAFKA_BROKER_URI", "KAFKA_BROKER_URL"),
        ("STATUS_PORTS", "STATUS_PORT"),
        ("STATS_PORT", "STATUS_PORT"),
        ("RULE_PATH", "RULES_PATH"),
        ("DEADLETTER_TOPIC", "DEAD_LETTER_TOPIC"),
        ("TRANSACTIONS_SEEDS", "TRANSACTIONS_SEED"),
        ("TRANSACTIONS_SECOND", "TRANSACTIONS_PER_SECOND"),
    ],
)
def test_a_misspelt_name_is_refused_with_the_right_one(slip: str, meant: str) -> None:
    assert (
        mistake(DetectorSettings, {slip: "5"}) == f"{slip} is not a setting; did you mean {meant}?"
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PATH", "/bin"),
        ("HOSTNAME", "detector-0"),
        ("KAFKA_HEAP_OPTS", "-Xmx1g"),
        ("TRANSACTIONS_PORT", "tcp://10.96.0.7:80"),
        ("TRANSACTIONS_SERVICE_HOST", "10.96.0.7"),
        ("TRANSACTIONS_SERVICE_PORT", "80"),
        ("TRANSACTIONS_SERVICE_PORT_HTTP", "80"),
        ("TRANSACTIONS_PORT_80_TCP_ADDR", "10.96.0.7"),
        ("TRANSACTIONS_PORT_80_TCP_PROTO", "tcp"),
    ],
)
def test_what_is_not_ours_is_left_alone(name: str, value: str) -> None:
    for cls in SERVICES:
        assert load(cls, {name: value}) == cls()


@pytest.mark.parametrize(("cls", "other"), list(itertools.permutations(SERVICES, 2)))
def test_the_settings_of_another_service_are_no_slips(
    cls: type[KafkaSettings], other: type[KafkaSettings]
) -> None:
    for name in set(variables(other)) - set(variables(cls)):
        assert load(cls, {name: VALID.get(name, "text")}) == cls(), name


@pytest.mark.parametrize("cls", SERVICES)
def test_no_setting_is_taken_for_a_slip_of_its_neighbour(cls: type[KafkaSettings]) -> None:
    for name, field in variables(cls).items():
        environ = {name: VALID.get(name, "text")}
        if name.startswith("KAFKA_SSL_"):
            environ |= {n: VALID[n] for n in VALID if n.startswith("KAFKA_SSL_")}
        assert str(getattr(load(cls, environ), field)).removesuffix(".0") == environ[name]


def test_the_prefix_of_ours_knows_every_service() -> None:
    names = {name for cls in SERVICES for name in variables(cls)}
    assert {name for name in names if name.startswith(module._OUR_PREFIX)} == module._OURS


@pytest.mark.parametrize("cls", SERVICES)
def test_every_setting_is_described(cls: type[KafkaSettings]) -> None:
    schema = msgspec.json.schema(cls)["$defs"][cls.__name__]
    for name, field in schema["properties"].items():
        assert any(kind.get("description") for kind in (field, *field.get("anyOf", []))), name


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", "KAFKA_SASL_USERNAME": "me"},
            "KAFKA_SASL_MECHANISM is not set, but KAFKA_SECURITY_PROTOCOL is SASL_SSL",
        ),
        (
            {"KAFKA_SECURITY_PROTOCOL": "SASL_PLAINTEXT", "KAFKA_SASL_MECHANISM": "PLAIN"},
            "KAFKA_SASL_USERNAME is not set, but KAFKA_SECURITY_PROTOCOL is SASL_PLAINTEXT",
        ),
        (
            {"KAFKA_SSL_CERTIFICATE_LOCATION": "cert.pem"},
            "KAFKA_SSL_KEY_LOCATION is not set, but certificate and key go together",
        ),
        (
            {"KAFKA_SSL_KEY_LOCATION": "key.pem"},
            "KAFKA_SSL_CERTIFICATE_LOCATION is not set, but certificate and key go together",
        ),
    ],
)
def test_security_described_by_half_is_refused(environ: dict[str, str], expected: str) -> None:
    assert mistake(KafkaSettings, environ) == f"{expected}; set it"
