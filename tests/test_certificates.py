"""Certificates as TLS itself takes them: who is trusted, for which hosts, as whom, how long."""

from __future__ import annotations

import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from services.certificates import Authority, KeyPair, expiry

if TYPE_CHECKING:
    from pathlib import Path

HOUR = timedelta(hours=1)
WAIT_SECONDS = 60
LOOPBACK = "127.0.0.1"


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.new("ours", HOUR)


@pytest.fixture(scope="module")
def stranger() -> Authority:
    """Another authority of the same name."""
    return Authority.new("ours", HOUR)


class Peers:
    """Two ends of a TLS connection over loopback."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "pair.pem"
        self.server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.client.hostname_checks_common_name = False  # as Go does, and with it Kubernetes

    def serve(self, pair: KeyPair, *chain: bytes) -> Peers:
        """Have the server show a certificate, and those of a chain with it."""
        self._show(self.server, pair, *chain)
        return self

    def come_as(self, pair: KeyPair) -> Peers:
        """Have the client show a certificate."""
        self._show(self.client, pair)
        return self

    def trust(self, authority: Authority) -> Peers:
        """Have the client trust an authority."""
        self.client.load_verify_locations(cadata=authority.certificate.decode())
        return self

    def ask_for(self, authority: Authority) -> Peers:
        """Have the server ask clients for a certificate of an authority."""
        self.server.load_verify_locations(cadata=authority.certificate.decode())
        self.server.verify_mode = ssl.CERT_REQUIRED
        return self

    def connect(self, host: str = "localhost") -> dict[str, Any]:
        """Call the server by a name; what it was shown by the client.

        Raises:
            ssl.SSLError: one of them does not trust the other.

        """
        with (
            ThreadPoolExecutor(1) as pool,
            socket.create_server((LOOPBACK, 0)) as listener,
        ):
            listener.settimeout(WAIT_SECONDS)
            accepted = pool.submit(self._accept, listener)
            address = listener.getsockname()
            with (
                socket.create_connection(address, WAIT_SECONDS) as plain,
                self.client.wrap_socket(plain, server_hostname=host),
            ):
                return accepted.result(WAIT_SECONDS)

    def _accept(self, listener: socket.socket) -> dict[str, Any]:
        plain, _ = listener.accept()
        plain.settimeout(WAIT_SECONDS)
        with plain, self.server.wrap_socket(plain, server_side=True) as secure:
            return dict(secure.getpeercert() or {})

    def _show(self, context: ssl.SSLContext, pair: KeyPair, *chain: bytes) -> None:
        self._file.write_bytes(b"".join((pair.certificate, *chain, pair.key)))
        context.load_cert_chain(self._file)


@pytest.fixture
def peers(tmp_path: Path) -> Peers:
    return Peers(tmp_path)


def test_a_server_is_trusted_through_its_authority(peers: Peers, authority: Authority) -> None:
    peers.serve(authority.issue("server", HOUR, hosts=["localhost"])).trust(authority)
    assert peers.connect() == {}


def test_a_server_is_not_trusted_through_another_authority_of_that_name(
    peers: Peers, authority: Authority, stranger: Authority
) -> None:
    peers.serve(authority.issue("server", HOUR, hosts=["localhost"])).trust(stranger)
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        peers.connect()


def test_a_server_is_not_trusted_without_an_authority(peers: Peers, authority: Authority) -> None:
    peers.serve(authority.issue("server", HOUR, hosts=["localhost"]))
    with pytest.raises(ssl.SSLCertVerificationError, match="unable to get local issuer"):
        peers.connect()


def test_an_authority_read_back_from_its_pair_is_the_same(
    peers: Peers, authority: Authority
) -> None:
    again = Authority(KeyPair(authority.certificate, authority.key))
    peers.serve(again.issue("server", HOUR, hosts=["localhost"])).trust(authority)
    assert peers.connect() == {}


def test_what_an_authority_issued_is_no_authority_itself(
    peers: Peers, authority: Authority
) -> None:
    issued = authority.issue("server", HOUR, hosts=["localhost"])
    forged = Authority(issued).issue("forged", HOUR, hosts=["localhost"])
    peers.serve(forged, issued.certificate).trust(authority)
    with pytest.raises(ssl.SSLCertVerificationError, match="invalid CA certificate"):
        peers.connect()


HOSTS = ["localhost", "webhook.fraud.svc", "127.0.0.1", "10.96.0.1", "::1", "fd00::7"]


@pytest.mark.parametrize("host", HOSTS)
def test_a_certificate_speaks_for_each_of_its_hosts(
    peers: Peers, authority: Authority, host: str
) -> None:
    peers.serve(authority.issue("server", HOUR, hosts=HOSTS)).trust(authority)
    assert peers.connect(host) == {}


@pytest.mark.parametrize("host", ["server", "fraud.svc", "x.localhost", "127.0.0.2", "::2"])
def test_a_certificate_speaks_for_no_other_host(
    peers: Peers, authority: Authority, host: str
) -> None:
    peers.serve(authority.issue("server", HOUR, hosts=HOSTS)).trust(authority)
    with pytest.raises(ssl.SSLCertVerificationError, match="is not valid for"):
        peers.connect(host)


def test_a_certificate_without_hosts_is_none_of_a_server(
    peers: Peers, authority: Authority
) -> None:
    peers.serve(authority.issue("localhost", HOUR)).trust(authority)
    with pytest.raises(ssl.SSLCertVerificationError, match="unsuitable certificate purpose"):
        peers.connect()


@pytest.mark.parametrize("groups", [[], ["system:masters"], ["one", "other"]], ids=str)
def test_a_client_is_known_by_its_user_and_groups(
    peers: Peers, authority: Authority, groups: list[str]
) -> None:
    peers.serve(authority.issue("server", HOUR, hosts=["localhost"])).trust(authority)
    peers.come_as(authority.issue("alice", HOUR, organizations=groups)).ask_for(authority)
    parts = [part for (part,) in peers.connect()["subject"]]
    assert sorted(parts) == sorted(
        [("commonName", "alice"), *(("organizationName", group) for group in groups)]
    )


def test_a_client_of_another_authority_is_turned_away(
    peers: Peers, authority: Authority, stranger: Authority
) -> None:
    peers.serve(authority.issue("server", HOUR, hosts=["localhost"])).trust(authority)
    peers.come_as(stranger.issue("alice", HOUR)).ask_for(authority)
    with pytest.raises(ssl.SSLCertVerificationError):
        peers.connect()


def test_a_client_that_shows_nothing_is_turned_away(peers: Peers, authority: Authority) -> None:
    peers.serve(authority.issue("server", HOUR, hosts=["localhost"])).trust(authority)
    peers.ask_for(authority)
    with pytest.raises(ssl.SSLError, match=r"(?i)peer did not return a certificate"):
        peers.connect()


def test_a_certificate_that_ended_is_not_trusted(peers: Peers, authority: Authority) -> None:
    ended = authority.issue("server", timedelta(seconds=-60), hosts=["localhost"])
    peers.serve(ended).trust(authority)
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
        peers.connect()


def test_nothing_of_an_authority_that_ended_is_trusted(peers: Peers) -> None:
    ended = Authority.new("ended", timedelta(seconds=-60))
    peers.serve(ended.issue("server", HOUR, hosts=["localhost"])).trust(ended)
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate has expired"):
        peers.connect()


def test_a_certificate_ends_after_its_lifetime(authority: Authority) -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    ends = expiry(authority.issue("server", 30 * HOUR).certificate)
    assert before <= ends - 30 * HOUR <= datetime.now(UTC)


def test_an_authority_ends_after_its_lifetime() -> None:
    before = datetime.now(UTC).replace(microsecond=0)
    ends = expiry(Authority.new("ours", 30 * HOUR).certificate)
    assert before <= ends - 30 * HOUR <= datetime.now(UTC)


def test_a_clock_that_is_minutes_behind_takes_a_new_certificate(authority: Authority) -> None:
    new = x509.load_pem_x509_certificate(authority.issue("server", HOUR).certificate)
    assert new.not_valid_before_utc <= datetime.now(UTC) - timedelta(minutes=4)


def test_of_several_certificates_the_first_tells_the_end(authority: Authority) -> None:
    first = authority.issue("server", 2 * HOUR)
    chain = first.certificate + authority.certificate
    assert expiry(chain) == expiry(first.certificate)


def test_the_end_is_read_beside_a_key(authority: Authority) -> None:
    pair = authority.issue("server", 2 * HOUR)
    assert expiry(pair.certificate + pair.key) == expiry(pair.certificate)


def test_every_certificate_has_a_key_of_its_own(authority: Authority) -> None:
    assert len({authority.issue("server", HOUR).key for _ in range(3)} | {authority.key}) == 4
