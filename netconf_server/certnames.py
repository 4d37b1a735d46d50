"""Who a client certificate stands for: the cert-to-name rules of RFC 7407 as RFC 7589 section 7 uses them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from lxml import etree

from rui.schema.leaves import ConfigError, children, optional, text

# The first octet of a fingerprint, from TLS's registry of hash algorithms. MD5 and SHA-1 can be forged.
_HASHES: Final = {4: "sha256", 5: "sha384", 6: "sha512"}
_LONGEST_CHAIN: Final = 10


class MapType(StrEnum):
    """How a rule makes a name of a certificate: the identities of ietf-x509-cert-to-name."""

    SPECIFIED = "specified"
    SAN_RFC822_NAME = "san-rfc822-name"
    SAN_DNS_NAME = "san-dns-name"
    SAN_IP_ADDRESS = "san-ip-address"
    SAN_ANY = "san-any"
    COMMON_NAME = "common-name"


@dataclass(frozen=True)
class CertToName:
    """One rule: the `fingerprint` (TLS hash algorithm, then hash) of the client's certificate or of one that
    vouches for it, None for any; and how the name is made, where `name` is the one that is specified.
    """

    map_type: MapType
    fingerprint: bytes | None = None
    name: str | None = None


def read_rules(tls: etree._Element) -> tuple[CertToName, ...]:
    """The rules of a checked container that uses the grouping cert-to-name, in order. Raises
    ConfigError.
    """
    entries = sorted(children(tls, "cert-to-name"), key=lambda entry: int(text(entry, "id")))
    return tuple(
        CertToName(
            MapType(text(entry, "map-type").rpartition(":")[2]),
            read_fingerprint(text(entry, "fingerprint")),
            optional(entry, "name"),
        )
        for entry in entries
    )


def read_fingerprint(written: str) -> bytes:
    """A fingerprint of octets in hexadecimal with colons between. Raises ConfigError."""
    octets = bytes.fromhex(written.replace(":", ""))
    algorithm = _HASHES.get(octets[0]) if octets else None
    if algorithm is None:
        raise ConfigError(
            f"the fingerprint {written[:20]} begins with no hash algorithm that is taken: give 04 and the"
            " SHA-256 of the certificate"
        )
    if len(octets) != 1 + hashlib.new(algorithm).digest_size:
        raise ConfigError(
            f"the fingerprint {written[:20]} has {len(octets) - 1} octets behind the first: no {algorithm}"
        )
    return octets


def fingerprint(certificate: bytes) -> str:
    """The SHA-256 fingerprint of a certificate (DER) as rules have it."""
    return (b"\x04" + hashlib.sha256(certificate).digest()).hex(":")


class CertificateNames:
    """The rules of one server; `trusted` are the certificates (PEM) that vouch for those of clients."""

    def __init__(self, rules: Sequence[CertToName], trusted: bytes) -> None:
        self._rules = rules
        self._trusted = x509.load_pem_x509_certificates(trusted)

    def name_of(self, certificate: bytes) -> str | None:
        """The name that the first fitting rule gives a client certificate (DER) that was verified, or None.

        A rule that fits but finds nothing to make a name of is passed over; a certificate that cannot be read
        has no name.
        """
        try:
            return self._name_of(certificate)
        except (ValueError, UnsupportedAlgorithm):
            return None

    def _name_of(self, certificate: bytes) -> str | None:
        leaf = x509.load_der_x509_certificate(certificate)
        chain = [item.public_bytes(Encoding.DER) for item in self._chain(leaf)]
        for rule in self._rules:
            if rule.fingerprint is None or any(_fits(rule.fingerprint, item) for item in chain):
                name = _name(leaf, rule)
                if name:
                    return name
        return None

    def _chain(self, leaf: x509.Certificate) -> Iterator[x509.Certificate]:
        """The certificate and those that vouch for it, as far as they are here."""
        current: x509.Certificate | None = leaf
        for _ in range(_LONGEST_CHAIN):
            if current is None:
                return
            yield current
            below = current
            current = next((item for item in self._trusted if item != below and _issued(item, below)), None)


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _fits(expected: bytes, certificate: bytes) -> bool:
    digest = hashlib.new(_HASHES[expected[0]], certificate).digest()
    return hmac.compare_digest(expected[1:], digest)


def _name(leaf: x509.Certificate, rule: CertToName) -> str | None:
    match rule.map_type:
        case MapType.SPECIFIED:
            return rule.name
        case MapType.COMMON_NAME:
            found = leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
            return str(found[0].value) if found else None
        case _:
            return next(_alternatives(leaf, rule.map_type), None)


def _alternatives(leaf: x509.Certificate, wanted: MapType) -> Iterator[str]:
    """The subjectAltNames of a kind, written as RFC 7407 says."""
    try:
        extension = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return
    for name in extension.value:
        if isinstance(name, x509.RFC822Name) and wanted in (MapType.SAN_RFC822_NAME, MapType.SAN_ANY):
            local, at, host = name.value.rpartition("@")
            yield f"{local}{at}{host.lower()}"
        elif isinstance(name, x509.DNSName) and wanted in (MapType.SAN_DNS_NAME, MapType.SAN_ANY):
            yield name.value.lower()
        elif isinstance(name, x509.IPAddress) and wanted in (MapType.SAN_IP_ADDRESS, MapType.SAN_ANY):
            address = name.value
            # RFC 7407: IPv4 with dots, IPv6 as 32 hexadecimal digits
            yield address.packed.hex() if isinstance(address, IPv6Address) else str(address)
