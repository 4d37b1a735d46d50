"""Which name a client certificate stands for (RFC 7407, RFC 7589 section 7)."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from netconf_server.certnames import (
    CertificateNames,
    CertToName,
    MapType,
    fingerprint,
    read_fingerprint,
)
from rui.schema.leaves import ConfigError
from tests.certificates import Identity, identity


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="module")
def authority(folder: Path) -> Identity:
    return identity(folder, "authority", authority=True)


@pytest.fixture(scope="module")
def ada(folder: Path, authority: Identity) -> Identity:
    names = (
        x509.DNSName("Ada.Example"),
        x509.RFC822Name("Ada@Example.COM"),
        x509.IPAddress(ip_address("2001:db8::1")),
    )
    return identity(folder, "ada", *names, issuer=authority)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (CertToName(MapType.SPECIFIED, name="operator"), "operator"),
        (CertToName(MapType.COMMON_NAME), "ada"),
        (CertToName(MapType.SAN_DNS_NAME), "ada.example"),
        (CertToName(MapType.SAN_RFC822_NAME), "Ada@example.com"),
        (CertToName(MapType.SAN_IP_ADDRESS), "20010db8000000000000000000000001"),
        (CertToName(MapType.SAN_ANY), "ada.example"),
    ],
)
def test_each_way_to_make_a_name(ada: Identity, rule: CertToName, name: str) -> None:
    assert CertificateNames([rule], ada.pem.encode()).name_of(ada.der) == name


def test_an_ipv4_address_is_written_with_dots(folder: Path) -> None:
    router = identity(folder, "router", x509.IPAddress(ip_address("192.0.2.1")))
    rules = [CertToName(MapType.SAN_IP_ADDRESS)]
    assert CertificateNames(rules, router.pem.encode()).name_of(router.der) == "192.0.2.1"


def test_the_first_rule_that_fits_and_finds_a_name_decides(
    folder: Path, authority: Identity, ada: Identity
) -> None:
    bob = identity(folder, "bob", issuer=authority)
    middle = identity(folder, "middle", issuer=authority, authority=True)
    carol = identity(folder, "carol", issuer=middle)
    stranger = identity(folder, "stranger")
    rules = [
        CertToName(MapType.SPECIFIED, read_fingerprint(fingerprint(bob.der)), "operator"),
        CertToName(MapType.SAN_DNS_NAME, read_fingerprint(fingerprint(authority.der))),
        CertToName(MapType.COMMON_NAME, read_fingerprint(fingerprint(authority.der))),
    ]
    names = CertificateNames(rules, (middle.pem + authority.pem).encode())
    found = [names.name_of(item.der) for item in (ada, bob, carol, stranger)]
    assert found == ["ada.example", "operator", "carol", None]


def test_a_certificate_that_cannot_be_read_has_no_name(ada: Identity) -> None:
    names = CertificateNames([CertToName(MapType.SPECIFIED, name="operator")], ada.pem.encode())
    assert names.name_of(ada.der[:-40]) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [("02:" + "00:" * 19 + "00", "no hash algorithm"), ("04:00:11", "no sha256"), ("", "no hash algorithm")],
)
def test_a_fingerprint_that_proves_nothing_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        read_fingerprint(text)
