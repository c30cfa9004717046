"""Settings from the environment: typed, bounded, and strict about misspelt names.

A service's settings are a frozen `msgspec.Struct`; the field `kafka_broker_url`
is the variable `KAFKA_BROKER_URL`. A mistake is reported on one line: what was
found, what was expected and what to do.
"""

from __future__ import annotations

import difflib
import math
import re
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, inspect

from services.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

S = TypeVar("S", bound=msgspec.Struct)

# A variable with such a prefix is ours, and an error if no service knows it: a test compares this
# list with the services' classes. Others are only compared with the names of the loaded class.
_OUR_PREFIX = "TRANSACTIONS_"
_OURS = frozenset(
    {
        "TRANSACTIONS_ACCOUNTS",
        "TRANSACTIONS_COUNT",
        "TRANSACTIONS_PER_SECOND",
        "TRANSACTIONS_PROFILE",
        "TRANSACTIONS_SEED",
        "TRANSACTIONS_TOPIC",
    }
)
# Names at least this similar count as misspelt: TRANSACTION_TOPIC, KAFKA_BROKERS_URL. The most
# similar names of two services, apart from those with our prefixes, score 0.62.
_SLIP_CUTOFF = 0.86
# Kubernetes adds the addresses of services to the environment of every pod.
_SERVICE_LINK = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT_\d+_(TCP|UDP|SCTP).*)$")
_AT_FIELD = re.compile(r" - at `\$\.([a-z_]+).*`$")


class SettingError(UserError):
    """A setting cannot be used; the text is one line for people."""


class ServiceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of every service."""

    status_port: Annotated[
        int, Meta(ge=0, le=65535, description="Port of the status endpoint; 0 is any free one.")
    ] = 0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="What is logged.")
    ] = "info"


class KafkaSettings(ServiceSettings, frozen=True, kw_only=True):
    """Settings of every service that uses Kafka: the cluster, the credentials, the input topic."""

    kafka_broker_url: Annotated[
        str, Meta(min_length=1, description="host:port of a broker, or several with commas.")
    ] = "localhost:9092"
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Meta(description="How to connect: TLS (SSL), a password (SASL), both, or neither."),
    ] = "PLAINTEXT"
    kafka_ssl_ca_location: Annotated[
        str,
        Meta(
            description="PEM file of the authorities that sign the brokers' certificates, or a "
            "folder whose files *.crt are all trusted; the system's public ones by default."
        ),
    ] = ""
    kafka_ssl_certificate_location: Annotated[
        str, Meta(description="PEM file of the client's certificate.")
    ] = ""
    kafka_ssl_key_location: Annotated[str, Meta(description="PEM file of the client's key.")] = ""
    kafka_ssl_key_password: Annotated[str, Meta(description="The key's password.")] = ""
    kafka_sasl_mechanism: Annotated[
        Literal["", "PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
        Meta(description="How the password is proven."),
    ] = ""
    kafka_sasl_username: Annotated[str, Meta(description="The user.")] = ""
    kafka_sasl_password: Annotated[str, Meta(description="The user's password.")] = ""
    transactions_topic: Annotated[
        str, Meta(min_length=1, description="The topic of transactions to be judged.")
    ] = "queueing.transactions"

    def __post_init__(self) -> None:
        """Reject security settings that are incomplete."""
        needed = {
            "kafka_sasl_mechanism": self.kafka_security_protocol.startswith("SASL"),
            "kafka_sasl_username": self.kafka_security_protocol.startswith("SASL"),
            "kafka_ssl_key_location": bool(self.kafka_ssl_certificate_location),
            "kafka_ssl_certificate_location": bool(self.kafka_ssl_key_location),
        }
        for field, wanted in needed.items():
            if wanted and not getattr(self, field):
                because = (
                    f"KAFKA_SECURITY_PROTOCOL is {self.kafka_security_protocol}"
                    if "sasl" in field
                    else "certificate and key go together"
                )
                raise ValueError(f"{field.upper()} is not set, but {because}; set it")


def load(cls: type[S], environ: Mapping[str, str]) -> S:
    """Load settings of a class from an environment. A variable set to "" counts as not set.

    Raises:
        SettingError: A value is invalid, or a name looks misspelt.

    """
    names = variables(cls)
    _reject_slips(names, environ)
    given = {field: environ[name] for name, field in names.items() if environ.get(name)}
    try:
        settings = msgspec.convert(given, cls, strict=False)
    except msgspec.ValidationError as error:
        at = _AT_FIELD.search(str(error))
        raise SettingError(_misfit(cls, at[1], given) if at else str(error)) from None
    for field in given:
        value = getattr(settings, field)
        if isinstance(value, float) and not math.isfinite(value):
            raise SettingError(_misfit(cls, field, given))
    return settings


def variables(cls: type[msgspec.Struct]) -> dict[str, str]:
    """Map the variables of a settings class to its fields."""
    return {field.name.upper(): field.name for field in msgspec.structs.fields(cls)}


def _reject_slips(names: Collection[str], environ: Mapping[str, str]) -> None:
    for name, value in environ.items():
        if name in names or name in _OURS:
            continue
        if value.startswith("tcp://") or _SERVICE_LINK.search(name):
            continue
        ours = name.startswith(_OUR_PREFIX)
        known, cutoff = ((*names, *_OURS), 0.0) if ours else (names, _SLIP_CUTOFF)
        close = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
        if ours or (close and close[0] not in environ):
            raise SettingError(f"{name} is not a setting; did you mean {close[0]}?")


def _misfit(cls: type[msgspec.Struct], field: str, given: Mapping[str, str]) -> str:
    kind = inspect.type_info(cls)
    assert isinstance(kind, inspect.StructType)  # noqa: S101 - msgspec's type_info is not generic
    expected = next(_expected(f.type) for f in kind.fields if f.name == field)
    return f"{field.upper()} is {given[field]!r}; expected {expected}"


def _expected(kind: inspect.Type) -> str:
    """Describe the valid values of a field's type; text is never asked for, as any is valid."""
    match kind:
        case inspect.Metadata():
            return _expected(kind.type)
        case inspect.UnionType():
            return " or ".join(
                _expected(t) for t in kind.types if not isinstance(t, inspect.NoneType)
            )
        case inspect.LiteralType():
            choices = [str(value) for value in kind.values if value]
            return f"one of {', '.join(choices)}" if len(choices) > 1 else choices[0]
        case inspect.IntType():
            return f"a whole number{_bounds(kind)}"
        case inspect.FloatType():
            return f"a finite number{_bounds(kind)}"
        case _:
            return "text"


def _bounds(kind: inspect.IntType | inspect.FloatType) -> str:
    least = "" if kind.ge is None else f" from {kind.ge}".removesuffix(".0")
    most = "" if kind.le is None else f" to {kind.le}".removesuffix(".0")
    return least + most
