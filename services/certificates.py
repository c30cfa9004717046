"""Certificates for our own servers: an authority in memory, and the certificates that it signs.

Keys are elliptic (P-256): made in milliseconds, and accepted by every TLS client
since 2015.
"""

from __future__ import annotations

import ipaddress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Self

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Iterable

# To a slightly slow clock a new certificate must not look as if it were valid only later.
_BACKDATED = timedelta(minutes=5)


class KeyPair(msgspec.Struct, frozen=True):
    """A certificate and its private key, both as PEM."""

    certificate: bytes
    key: bytes


class Authority:
    """Signs certificates; clients trust its own certificate.

    Args:
        pair: Certificate and key of the authority.

    """

    def __init__(self, pair: KeyPair) -> None:
        self.certificate = pair.certificate
        self.key = pair.key
        self._certificate = x509.load_pem_x509_certificate(pair.certificate)
        key = serialization.load_pem_private_key(pair.key, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - made below
        self._key = key

    @classmethod
    def new(cls, name: str, lifetime: timedelta) -> Self:
        """Make an authority with this name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(name, ())
        usage = x509.KeyUsage(
            digital_signature=True,
            key_cert_sign=True,
            crl_sign=True,
            content_commitment=False,
            key_encipherment=False,
            data_encipherment=False,
            key_agreement=False,
            encipher_only=False,
            decipher_only=False,
        )
        certificate = (
            _builder(subject, subject, key.public_key(), lifetime)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(_pair(certificate, key))

    def issue(
        self,
        name: str,
        lifetime: timedelta,
        *,
        hosts: Iterable[str] = (),
        organizations: Iterable[str] = (),
    ) -> KeyPair:
        """Sign a new certificate: for a server if it has hosts, else for a client.

        Args:
            name: Common name, of at most 64 characters; for Kubernetes, the user.
            lifetime: How long it is valid.
            hosts: DNS names and IP addresses of the server.
            organizations: For Kubernetes, the user's groups.

        """
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_host(host) for host in hosts]
        usage = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = (
            _builder(
                _subject(name, organizations), self._certificate.subject, key.public_key(), lifetime
            )
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
            .add_extension(issuer, critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return _pair(builder.sign(self._key, hashes.SHA256()), key)


def expiry(certificate: bytes) -> datetime:
    """Return when the first certificate of a PEM file expires."""
    return x509.load_pem_x509_certificate(certificate).not_valid_after_utc


def last_expiry(bundle: bytes) -> datetime:
    """Return when the last of all certificates in a PEM file expires.

    Raises:
        ValueError: It has no certificate.

    """
    return max(each.not_valid_after_utc for each in x509.load_pem_x509_certificates(bundle))


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    lifetime: timedelta,
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(name: str, organizations: Iterable[str]) -> x509.Name:
    return x509.Name(
        [
            *(x509.NameAttribute(NameOID.ORGANIZATION_NAME, o) for o in organizations),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return KeyPair(certificate.public_bytes(pem), private)
