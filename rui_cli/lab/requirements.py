"""What this machine must have for a lab, and what to do where it has not."""

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from rui_cli.errors import CliError

SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
PACKAGES: Mapping[str, str] = {
    "ip": "iproute2",
    "kea-dhcp4": "kea-dhcp4-server",
    "perfdhcp": "kea-admin",
    "udhcpc": "udhcpc",
    "dhclient": "isc-dhcp-client",
}
"""Programs of the DHCP lab and the Debian package of each."""

CONTINUITY: Mapping[str, str] = {
    "ip": "iproute2",
    "nft": "nftables",
    "bird": "bird2",
    "sysctl": "procps",
    "kea-dhcp4": "kea-dhcp4-server",
    "udhcpc": "udhcpc",
}
"""Programs of the labs of continuity and the Debian package of each."""

_CONFINED = ("kea-dhcp4", "dhclient")
_PROFILES = Path("/sys/kernel/security/apparmor/profiles")


class LabUnavailableError(CliError):
    """This machine cannot run the lab."""


def find(program: str) -> str | None:
    """Return the path of a program; `sbin` folders count although they may not be in PATH."""
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), *SBIN)))


def confined_programs(profiles: str) -> list[str]:
    """Return which programs of the lab AppArmor confines to their usual places, by its list of profiles."""
    enforced = [line.rsplit(" ", 1)[0] for line in profiles.splitlines() if line.endswith("(enforce)")]
    return [name for name in _CONFINED if any(profile.endswith(name) for profile in enforced)]


def check(
    *,
    programs: Mapping[str, str] = PACKAGES,
    platform: str = sys.platform,
    user: int | None = None,
    find_program: Callable[[str], str | None] = find,
    profiles: Path = _PROFILES,
) -> None:
    """Raise LabUnavailableError for the first of ``programs`` or else that is missing.

    The other arguments are for tests.
    """
    if platform != "linux":
        raise LabUnavailableError(f"the lab needs Linux's network namespaces, and this is {platform}")
    if (os.geteuid() if user is None else user) != 0:
        raise LabUnavailableError(
            "the lab makes network namespaces, which only root may", remedy="run it with sudo"
        )
    missing = [program for program in programs if find_program(program) is None]
    if missing:
        packages = " ".join(sorted({programs[program] for program in missing}))
        raise LabUnavailableError(
            f"the lab needs {', '.join(missing)}", remedy=f"on Debian: apt-get install {packages}"
        )
    try:
        confined = confined_programs(profiles.read_text())
    except OSError:
        return
    if confined:
        raise LabUnavailableError(
            f"AppArmor keeps {' and '.join(confined)} from files in a lab's folder",
            remedy=f"for the time of the lab: aa-complain {' '.join(confined)}",
        )
