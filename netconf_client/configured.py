"""From the leaves by which a peer is configured (``rui-netconf``) to the credentials of a session with it."""

from __future__ import annotations

from pathlib import Path

from lxml import etree

from netconf_client.hostkeys import HostKeyPolicy, KnownHosts, PinnedKey, TrustOnFirstUse
from rui.schema.leaves import ConfigError, optional, text


def read_password(entry: etree._Element, folder: Path, where: str) -> str | None:
    """Return the password in the file that ``entry`` names below ``folder``, None where it names none.

    ``where`` is the entry's path, for people. Raises ConfigError.
    """
    name = optional(entry, "password-file")
    if name is None:
        return None
    path = folder / name
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{where}/password-file: {path} cannot be read ({error}): correct the name"
        ) from error
    if not lines or not lines[0]:
        raise ConfigError(f"{where}/password-file: {path} is empty: its first line is the password")
    return lines[0]


def read_host_key(entry: etree._Element, folder: Path, where: str) -> HostKeyPolicy:
    """Return by what the peer's host key is judged; files are below ``folder``. Raises ConfigError."""
    pinned = optional(entry, "host-key")
    if pinned is not None:
        policy = PinnedKey(pinned)
        try:
            policy.load()
        except ValueError as error:
            raise ConfigError(f"{where}/host-key: {error}") from error
        return policy
    known = optional(entry, "known-hosts-file")
    if known is not None:
        return KnownHosts(folder / known)
    return TrustOnFirstUse(folder / text(entry, "trust-on-first-use-file"))
