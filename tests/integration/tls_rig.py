"""What tests of TLS need: certificates of one authority, clients that show them, devices set up for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from lxml import etree

from netconf_client import ConnectFailed, SessionClosed, TlsTarget, connect_tls
from netconf_client.tls import TlsSession
from netconf_server import TlsOptions
from netconf_server.certnames import CertToName, MapType, fingerprint
from tests.certificates import Identity, identity
from tests.integration.netconf_server_rig import USER

LOOPBACK = x509.IPAddress(ip_address("127.0.0.1"))
WITHIN = 10.0


@dataclass
class Certificates:
    """An authority, what it signed, and files that say whom to trust."""

    folder: Path
    authority: Identity
    server: Identity
    admin: Identity

    @property
    def options(self) -> TlsOptions:
        """How the server is set up."""
        rules = (CertToName(MapType.SAN_DNS_NAME), CertToName(MapType.COMMON_NAME))
        files = (self.server.certificate_file, self.server.key_file, self.authority.certificate_file)
        return TlsOptions(*files, rules)

    def target(self, port: int, who: Identity | None = None) -> TlsTarget:
        """How a client reaches it."""
        who = who or self.admin
        trust = self.authority.certificate_file
        return TlsTarget("127.0.0.1", who.certificate_file, who.key_file, trust, port=port)

    def made(self, name: str, *alternatives: x509.GeneralName, days: float = 1) -> Identity:
        """A further certificate of the authority."""
        return identity(self.folder, name, *alternatives, issuer=self.authority, days=days)


def certificates(folder: Path) -> Certificates:
    """Make an authority, and certificates for a server on loopback and for the rig's user."""
    authority = identity(folder, "authority", authority=True)
    server = identity(folder, "server", LOOPBACK, issuer=authority)
    return Certificates(folder, authority, server, identity(folder, USER, issuer=authority))


@asynccontextmanager
async def session_of(target: TlsTarget) -> AsyncIterator[TlsSession]:
    session = await connect_tls(target, timeout=WITHIN)
    try:
        yield session
    finally:
        await session.close()


async def refused(target: TlsTarget) -> None:
    with pytest.raises((ConnectFailed, SessionClosed)):
        await connect_tls(target, timeout=WITHIN)


def configured(known: Certificates, folder: Path, namespace: str, port: int) -> etree._Element:
    """The container `tls` of a device's configuration, with files in the folder of its startup file."""
    for source, name in (
        (known.server.certificate_file, "server.pem"),
        (known.server.key_file, "server.key"),
        (known.authority.certificate_file, "trust.pem"),
    ):
        (folder / name).write_bytes(source.read_bytes())
    rule = (
        f"<cert-to-name><id>1</id><fingerprint>{fingerprint(known.authority.der)}</fingerprint>"
        '<map-type xmlns:c="urn:ietf:params:xml:ns:yang:ietf-x509-cert-to-name">c:common-name</map-type>'
        "</cert-to-name>"
    )
    return etree.fromstring(
        f'<tls xmlns="{namespace}"><address>127.0.0.1</address><port>{port}</port>'
        "<certificate-file>server.pem</certificate-file><private-key-file>server.key</private-key-file>"
        f"<trust-file>trust.pem</trust-file>{rule}</tls>"
    )
