"""Certificates as the Secrets have them: PEM, and PKCS12 with its password."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    load_pem_private_key,
    pkcs12,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from services.certificates import KeyPair


def trust_store(authority: bytes, password: str) -> bytes:
    """A PKCS12 that Java takes for a list of whom to trust."""
    trusted = pkcs12.PKCS12Certificate(x509.load_pem_x509_certificate(authority), b"ca.crt")
    return pkcs12.serialize_java_truststore([trusted], BestAvailableEncryption(password.encode()))


def authority_keys(authority: bytes) -> dict[str, bytes]:
    """The content of an authority's Secret, without its key."""
    password = secrets.token_hex(8)
    return {
        "ca.crt": authority,
        "ca.p12": trust_store(authority, password),
        "ca.password": password.encode(),
    }


def user_keys(user: str, pair: KeyPair, authority: bytes) -> dict[str, bytes]:
    """The content of a user's Secret; its `ca.crt` is the authority of clients, not of brokers."""
    password = secrets.token_hex(8).encode()
    key = load_pem_private_key(pair.key, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    whole = pkcs12.serialize_key_and_certificates(
        user.encode(),
        key,
        x509.load_pem_x509_certificate(pair.certificate),
        [x509.load_pem_x509_certificate(authority)],
        BestAvailableEncryption(password),
    )
    return {
        "ca.crt": authority,
        "user.crt": pair.certificate,
        "user.key": pair.key,
        "user.p12": whole,
        "user.password": password,
    }


def secret(name: str, labels: Mapping[str, str], content: Mapping[str, bytes]) -> dict[str, Any]:
    """A Secret with this content."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": name, "labels": dict(labels)},
        "data": {key: base64.b64encode(value).decode() for key, value in content.items()},
    }
