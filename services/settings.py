"""Settings from the environment: typed, bounded, and strict about misspelt names.

A service's settings are a frozen `msgspec.Struct`; the field `kafka_broker_url`
is the variable `KAFKA_BROKER_URL`. A mistake is one line that says what was
found, what was expected and what to do.
"""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Mapping

S = TypeVar("S", bound=msgspec.Struct)

# Variables that start so are ours; any other is only compared with our names.
_OUR_PREFIX = "TRANSACTIONS_"
# Names this much alike are taken for a slip: TRANSACTION_TOPIC, KAFKA_BROKERS_URL.
_SLIP_CUTOFF = 0.86
# Kubernetes puts the addresses of services into the environment of every pod.
_SERVICE_LINK = re.compile(r"_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP).*)?)$")
_AT_FIELD = re.compile(r" - at `\$\.([^`]*)`$")


class SettingError(Exception):
    """A setting cannot be used; the text is one line for people."""


class KafkaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every service reads: the cluster, how to be let in, the input topic."""

    kafka_broker_url: Annotated[
        str, Meta(min_length=1, description="host:port of a broker, or several with commas.")
    ] = "localhost:9092"
    kafka_security_protocol: Annotated[
        Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"],
        Meta(description="How to connect: TLS (SSL), a password (SASL), both, or neither."),
    ] = "PLAINTEXT"
    kafka_ssl_ca_location: Annotated[
        str, Meta(description="PEM file of the CA that signed the brokers' certificates.")
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
    status_port: Annotated[
        int, Meta(ge=0, le=65535, description="Port of the status endpoint; 0 is any free one.")
    ] = 0
    log_level: Annotated[
        Literal["debug", "info", "warning", "error"], Meta(description="What is logged.")
    ] = "info"


def load(cls: type[S], environ: Mapping[str, str]) -> S:
    """Read settings of a class from an environment. A variable set to "" counts as not set.

    Raises:
        SettingError: a value does not fit, or a name looks like a slip.
    """
    names = variables(cls)
    _refuse_slips(names, environ)
    given = {field: environ[name] for name, field in names.items() if environ.get(name)}
    try:
        return msgspec.convert(given, cls, strict=False)
    except msgspec.ValidationError as error:
        raise SettingError(_said(str(error), given)) from None


def variables(cls: type[msgspec.Struct]) -> dict[str, str]:
    """The variables of a settings class: their names to the fields."""
    return {field.name.upper(): field.name for field in msgspec.structs.fields(cls)}


def _refuse_slips(names: Mapping[str, str], environ: Mapping[str, str]) -> None:
    for name, value in environ.items():
        if name in names or value.startswith("tcp://") or _SERVICE_LINK.search(name):
            continue
        close = difflib.get_close_matches(name, names, n=1, cutoff=_SLIP_CUTOFF)
        if close and close[0] not in environ:
            raise SettingError(f"{name} is not a setting; did you mean {close[0]}?")


def _said(error: str, given: Mapping[str, str]) -> str:
    at = _AT_FIELD.search(error)
    if at is None:
        return error
    field = at[1].split(".")[0]
    expected = _AT_FIELD.sub("", error)
    if expected.startswith("Invalid enum value"):
        expected = "it is none of the allowed values"
    shown = "***" if "password" in field else repr(given[field])
    return f"{field.upper()} is {shown}: {expected[0].lower()}{expected[1:]}"
