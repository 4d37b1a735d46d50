"""What a TLS server shows and whom it trusts: from its configuration to the context of Python's ssl."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lxml import etree

from netconf_server.certnames import CertToName, read_rules
from rui.schema.leaves import text

# Of TLS 1.2 only what has forward secrecy and authenticated encryption; those of 1.3 all have.
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"


class TlsError(RuntimeError):
    """TLS cannot be set up; names the file and what to do."""


@dataclass(frozen=True)
class TlsOptions:
    """What the server shows and whom it trusts; files are PEM.

    `trust` holds the authorities, or single client certificates, and with them the revocation lists where
    `check_revocation` is set. `names` say who a certificate stands for.
    """

    certificate: Path
    private_key: Path
    trust: Path
    names: tuple[CertToName, ...]
    check_revocation: bool = False


def read_tls(tls: etree._Element, folder: Path) -> TlsOptions:
    """Read a checked container `tls`, whose defaults are filled in; file names count from `folder`.

    Raises rui.schema.leaves.ConfigError.
    """
    return TlsOptions(
        folder / text(tls, "certificate-file"),
        folder / text(tls, "private-key-file"),
        folder / text(tls, "trust-file"),
        read_rules(tls),
        text(tls, "check-revocation") == "true",
    )


def server_context(options: TlsOptions) -> ssl.SSLContext:
    """TLS 1.2 or 1.3 with a certificate asked of the client. Raises TlsError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.verify_mode = ssl.CERT_REQUIRED
    # A client's own certificate in the trust file is trusted too, whoever has signed it.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if options.check_revocation:
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    _load(options.private_key, lambda: context.load_cert_chain(options.certificate, options.private_key))
    _load(options.trust, lambda: context.load_verify_locations(options.trust))
    return context


def _load(path: Path, load: Callable[[], None]) -> None:
    try:
        load()
    except ssl.SSLError as error:
        raise TlsError(
            f"{path} cannot be used for TLS ({error.reason}): give PEM, the key without passphrase and of the"
            " certificate"
        ) from error
    except OSError as error:
        raise TlsError(f"{path}: {error.strerror}; correct the name, or put the file there") from error
