"""A broker that clients reach with TLS and a certificate alone, and that asks its ACLs."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from tests.strimzi.keys import trust_store
from tools.local_kafka import Broker
from tools.this_machine import free_ports

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.certificates import KeyPair

# Later lines of the file count more, so these change those of the broker that it is made from. Its
# listener without TLS stays, on loopback, as the door of the stand-in and of who looks from
# outside: nobody who comes through TLS is ANONYMOUS, as a certificate is required there.
_PROPERTIES = """\
listeners=PLAINTEXT://127.0.0.1:{plain},CONTROLLER://127.0.0.1:{controller},TLS://{address}:{port}
advertised.listeners=PLAINTEXT://127.0.0.1:{plain},TLS://{address}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,TLS:SSL
inter.broker.listener.name=PLAINTEXT
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
listener.name.tls.ssl.client.auth=required
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location={folder}/tls.pem
listener.name.tls.ssl.truststore.type=PKCS12
listener.name.tls.ssl.truststore.location={folder}/clients.p12
listener.name.tls.ssl.truststore.password={password}
"""


class TlsBroker(Broker):
    """A broker with a second listener, for clients.

    Args:
        address: that clients reach it at.
        server: what it shows them.
        clients: the authority of their certificates.
        config: more settings.

    """

    def __init__(
        self, address: str, server: KeyPair, clients: bytes, config: Mapping[str, object]
    ) -> None:
        super().__init__()
        self.address = address
        (self.tls_port,) = free_ports(1)
        folder, password = Path(self._folder.name), secrets.token_hex(8)
        (folder / "tls.pem").write_bytes(server.certificate + server.key)
        (folder / "clients.p12").write_bytes(trust_store(clients, password))
        ours = _PROPERTIES.format(
            plain=self._port,
            controller=self._controller,
            address=address,
            port=self.tls_port,
            folder=folder,
            password=password,
        )
        with (folder / "server.properties").open("a", encoding="utf-8") as properties:
            properties.write(ours)
            properties.writelines(f"{name}={_text(value)}\n" for name, value in config.items())


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
