"""The four books side by side: the server's leases, and the records of primary, cloud and secondary."""

from __future__ import annotations

from collections.abc import Mapping

from rui.backup.record import RecordError, UserInfo
from rui_cli.lab.kea import KeaLease
from rui_cli.tables import compare

MOST_MISMATCHES = 50


def mismatches(leases: Mapping[str, KeaLease], records: Mapping[str, Mapping[str, bytes]]) -> list[str]:
    """Return every difference, for people to read; at most MOST_MISMATCHES and how many more there are.

    ``leases`` are by MAC; ``records`` are each device's records by key, the primary's first.
    """
    primary, *copies = records
    found = _against_leases(leases, primary, records[primary])
    for copy in copies:
        difference = compare(records[primary], records[copy])
        found += [f"{key}: at {primary}, not at {copy}" for key in sorted(difference.missing)]
        found += [f"{key}: at {copy}, not at {primary}" for key in sorted(difference.extra)]
        found += [f"{key}: other bytes at {copy} than at {primary}" for key in sorted(difference.changed)]
    more = len(found) - MOST_MISMATCHES
    return found if more <= 0 else [*found[:MOST_MISMATCHES], f"and {more} more"]


def _against_leases(leases: Mapping[str, KeaLease], device: str, records: Mapping[str, bytes]) -> list[str]:
    found: list[str] = []
    users: dict[str, UserInfo] = {}
    for key, record in records.items():
        try:
            users[key.split("/", 1)[0]] = UserInfo.decode(record)
        except RecordError as error:
            found.append(f"{key}: at {device}: {error}")
    found += [f"{mac}: a lease, no record at {device}" for mac in sorted(leases.keys() - users.keys())]
    found += [f"{mac}: a record at {device}, no lease" for mac in sorted(users.keys() - leases.keys())]
    for mac in sorted(leases.keys() & users.keys()):
        lease, user = leases[mac], users[mac]
        pairs = (
            ("address", str(lease.ipv4), user.ipv4_address),
            ("option 82", lease.option_82.hex(), user.option_82.hex()),
            ("lease time", str(lease.lease_time), str(user.lease_time)),
        )
        found += [
            f"{mac}: {what} is {theirs or 'none'} in the lease, {ours or 'none'} in the record"
            for what, theirs, ours in pairs
            if theirs != ours
        ]
    return found
