"""Certificates made for one test: authorities, and what they sign."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

_DAY = timedelta(days=1)

_SIGNS = x509.KeyUsage(
    key_cert_sign=True,
    crl_sign=True,
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    encipher_only=False,
    decipher_only=False,
)


@dataclass(frozen=True)
class Identity:
    """A certificate and its key, in PEM files as well."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    certificate_file: Path
    key_file: Path

    @property
    def der(self) -> bytes:
        """The certificate's own octets."""
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> str:
        """The certificate as text."""
        return self.certificate.public_bytes(Encoding.PEM).decode()


def identity(
    folder: Path,
    name: str,
    *alternatives: x509.GeneralName,
    issuer: Identity | None = None,
    authority: bool = False,
    days: float = 1,
) -> Identity:
    """Make a certificate for `name`, signed by `issuer` or by itself; it ends in so many days."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 10 * _DAY)
        .not_valid_after(now + days * _DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if issuer is not None:
        above = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
        builder = builder.add_extension(above, critical=False)
    if authority:
        builder = builder.add_extension(_SIGNS, critical=True)
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    certificate = builder.sign(key if issuer is None else issuer.key, hashes.SHA256())
    folder.mkdir(exist_ok=True)
    made = Identity(certificate, key, folder / f"{name}.pem", folder / f"{name}.key")
    made.certificate_file.write_text(made.pem)
    made.key_file.touch(mode=0o600)
    made.key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return made


def revocations(issuer: Identity, *revoked: Identity) -> str:
    """The revocation list of an authority, as PEM."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now - _DAY)
        .next_update(now + _DAY)
    )
    for item in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(item.certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(now - _DAY).build())
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()
