"""The parts of the DHCP lab that need no root: what it demands, reads and compares."""

import time
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from rui.backup.record import UserInfo
from rui_cli.errors import ExitCode
from rui_cli.lab import requirements
from rui_cli.lab.compare import MOST_MISMATCHES, mismatches
from rui_cli.lab.dhcp import DEVICES, Result, Step
from rui_cli.lab.kea import Kea, KeaLease
from rui_cli.lab.load import LoadResult, read_report
from rui_cli.lab.namespaces import Namespaces

MAC = "02:00:00:00:00:01"
OPTION_82 = b"\x01\x02ab"
LEASE = KeaLease(IPv4Address("10.64.1.5"), MAC, 3600, OPTION_82)


def record(
    *, mac: str = MAC, address: str = "10.64.1.5", option_82: bytes = OPTION_82, lease_time: int = 3600
) -> dict[str, bytes]:
    user = UserInfo(mac, ipv4_address=address, option_82=option_82, lease_time=lease_time)
    return {user.key.decode(): user.encode()}


def books(
    primary: dict[str, bytes],
    cloud: dict[str, bytes] | None = None,
    secondary: dict[str, bytes] | None = None,
) -> dict[str, dict[str, bytes]]:
    return {
        "bras-a": primary,
        "cloud": primary if cloud is None else cloud,
        "bras-b": primary if secondary is None else secondary,
    }


def test_equal_books_have_no_mismatch() -> None:
    assert mismatches({MAC: LEASE}, books(record())) == []


@pytest.mark.parametrize(
    ("held", "complaint"),
    [
        (books({}), f"{MAC}: a lease, no record at bras-a"),
        (
            books(record(address="10.64.1.6")),
            f"{MAC}: address is 10.64.1.5 in the lease, 10.64.1.6 in the record",
        ),
        (
            books(record(option_82=b"")),
            f"{MAC}: option 82 is 01026162 in the lease, none in the record",
        ),
        (books(record(lease_time=60)), f"{MAC}: lease time is 3600 in the lease, 60 in the record"),
        (books(record(), cloud={}), f"{MAC}/0/0: at bras-a, not at cloud"),
        (
            books(record(), secondary=record(address="10.64.1.6")),
            f"{MAC}/0/0: other bytes at bras-b than at bras-a",
        ),
        (
            books(record(), secondary={**record(), **record(mac="02:00:00:00:00:02")}),
            "02:00:00:00:00:02/0/0: at bras-b, not at bras-a",
        ),
    ],
)
def test_each_difference_is_said(held: dict[str, dict[str, bytes]], complaint: str) -> None:
    assert mismatches({MAC: LEASE}, held) == [complaint]


def test_a_record_without_a_lease_is_said() -> None:
    assert mismatches({}, books(record())) == [f"{MAC}: a record at bras-a, no lease"]


def test_a_flood_of_differences_is_cut() -> None:
    leases = {str(number): LEASE for number in range(MOST_MISMATCHES + 7)}

    found = mismatches(leases, books({}))

    assert len(found) == MOST_MISMATCHES + 1
    assert found[-1] == "and 7 more"


LEASE_FILE = """\
address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context
10.64.1.0,02:00:00:00:00:01,,60,{soon},1,0,0,,0,{{ "ISC": {{ "relay-agent-info": "0x01026162" }} }}
10.64.1.1,02:00:00:00:00:02,,60,{soon},1,0,0,,0,
10.64.1.1,02:00:00:00:00:02,,0,{now},1,0,0,,0,
10.64.1.2,02:00:00:00:00:03,,60,{past},1,0,0,,0,
10.64.1.3,02:00:00:00:00:04,,60,{soon},1,0,0,,2,
"""


def test_only_leases_in_force_are_read_from_keas_file(tmp_path: Path) -> None:
    now = int(time.time())
    (tmp_path / "leases.csv").write_text(LEASE_FILE.format(soon=now + 60, now=now, past=now - 5))

    leases = Kea(Namespaces("test"), "kea", tmp_path).leases()

    assert leases == {MAC: KeaLease(IPv4Address("10.64.1.0"), MAC, 60, b"\x01\x02ab")}


def test_perfdhcps_report_is_read() -> None:
    report = """***Statistics for: DISCOVER-OFFER***
sent packets: 2000
received packets: 1999
drops: 1

***Statistics for: REQUEST-ACK***
sent packets: 1999
received packets: 1998
"""

    assert read_report(report) == LoadResult(1999, 1998)
    assert read_report("Error: no route") == LoadResult(0, 0)


def test_the_summary_has_the_form_that_was_agreed() -> None:
    result = Result(2, 3, dict.fromkeys(DEVICES, 3), [], [Step("one", True, 0.123)])

    summary = result.summary()

    assert summary["clients"] == 2
    assert summary["leases"] == 3
    assert summary["records"] == {"primary": 3, "cloud": 3, "secondary": 3}
    assert summary["mismatches"] == []
    assert summary["steps"] == [{"name": "one", "ok": True, "seconds": 0.12}]


def everywhere(program: str) -> str | None:
    return f"/usr/sbin/{program}"


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"platform": "darwin"}, "needs Linux's network namespaces"),
        ({"user": 1000}, "only root may\n  remedy: run it with sudo"),
        (
            {"find_program": lambda program: None if program in ("perfdhcp", "udhcpc") else program},
            "needs perfdhcp, udhcpc\n  remedy: on Debian: apt-get install kea-admin udhcpc",
        ),
    ],
)
def test_what_the_machine_lacks_is_said_with_the_remedy(
    changes: dict[str, object], complaint: str, tmp_path: Path
) -> None:
    wanted = {"platform": "linux", "user": 0, "find_program": everywhere, "profiles": tmp_path / "none"}

    with pytest.raises(requirements.LabUnavailableError) as refused:
        requirements.check(**{**wanted, **changes})  # type: ignore[arg-type]

    assert complaint in str(refused.value)
    assert refused.value.exit_code == ExitCode.REFUSED


def test_a_machine_with_everything_is_fit(tmp_path: Path) -> None:
    requirements.check(platform="linux", user=0, find_program=everywhere, profiles=tmp_path / "none")


def test_confined_programs_are_named_with_the_remedy(tmp_path: Path) -> None:
    profiles = tmp_path / "profiles"
    profiles.write_text("kea-dhcp4 (enforce)\n/{,usr/}sbin/dhclient (complain)\n")

    with pytest.raises(requirements.LabUnavailableError, match="aa-complain kea-dhcp4"):
        requirements.check(platform="linux", user=0, find_program=everywhere, profiles=profiles)
