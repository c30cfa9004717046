"""The console's settings, each from the environment variable of the same name in capitals."""

from __future__ import annotations

from typing import Annotated, NamedTuple

from msgspec import Meta

from services.settings import KafkaSettings, SettingError


class ConsoleSettings(KafkaSettings, frozen=True, kw_only=True):
    """Environment variables of the console."""

    fraud_topic: Annotated[str, Meta(min_length=1, description="Where frauds are read from.")] = (
        "streaming.transactions.fraud"
    )
    detectors: Annotated[
        str,
        Meta(
            min_length=1,
            description="host:port of a detector's status endpoint, or several with commas. A "
            "name that stands for several addresses is as many detectors.",
        ),
    ] = "localhost:8080"
    allowed_hosts: Annotated[
        str,
        Meta(
            description="Names, with commas, that the page is asked for by beside addresses, "
            "localhost and those of Services: that of an Ingress, for example."
        ),
    ] = ""


class Endpoint(NamedTuple):
    """A name or address, and a port."""

    host: str
    port: int


def endpoints(text: str) -> list[Endpoint]:
    """Parse the setting DETECTORS.

    Raises:
        SettingError: It is not a list of host:port.

    """
    found = []
    for part in text.split(","):
        host, _, port = part.strip().rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) <= 65535:
            raise SettingError(
                f"DETECTORS is {text!r}; expected host:port, or several with commas between"
            )
        found.append(Endpoint(host.strip("[]"), int(port)))
    return found
