"""The tables that operators look at most, as values: which list, which leafs, by which leafs to choose.

Whatever shows them (a command line, a page) reads the data that the paths name; a table whose list the
device's model lacks is left out, so routers and the manager share these.
"""

from typing import NamedTuple


class Column(NamedTuple):
    """One column: its title and the leaf, of the entry itself or, as `../name`, of the entry around it."""

    title: str
    leaf: str


class Choice(NamedTuple):
    """A word by which rows are chosen: those whose `leaf` has the value that is given."""

    name: str
    leaf: str
    help: str


class Table(NamedTuple):
    """One row for each entry of the list at the schema path `path`.

    With `otherwise` it is left out where the model has a table of the view that stands before it.
    """

    path: str
    columns: tuple[Column, ...]
    title: str = ""
    otherwise: bool = False


class View(NamedTuple):
    """One `show` command: its words and tables, and by what its rows can be chosen."""

    words: tuple[str, ...]
    help: str
    tables: tuple[Table, ...]
    choices: tuple[Choice, ...] = ()


def _columns(*texts: str) -> tuple[Column, ...]:
    """Columns as `title=leaf`, or named by their leaf."""
    parts = (text.partition("=") for text in texts)
    return tuple(Column(title.replace("-", " "), leaf or title) for title, _, leaf in parts)


_GROUP = Choice("group", "../group-id", "Only this backup group")

VIEWS = (
    View(
        ("groups",),
        "Backup groups: role, cursor, number of users",
        (
            Table(
                "/rui-cloud:cloud-state/stored-group",
                _columns("group=group-id", "writer", "records", "quarantined", "discarded", "cursor"),
            ),
            Table(
                "/rui-user-info:user-info/group",
                _columns("group=group-id", "role", "users", "unprotected=unprotected-users", "cursor"),
                otherwise=True,
            ),
        ),
        (Choice("group", "group-id", "Only this backup group"),),
    ),
    View(
        ("users",),
        "Users that are online or kept for others",
        (
            Table(
                "/rui-user-info:user-info/group/user",
                _columns(
                    "group=../group-id",
                    "MAC=mac-address",
                    "outer=outer-vlan",
                    "inner=inner-vlan",
                    "address=ipv4-address",
                    "type=session-type",
                    "state",
                    "lease-expiry",
                    "circuit-id",
                ),
            ),
        ),
        (
            _GROUP,
            Choice("mac", "mac-address", "The user with this MAC address"),
            Choice("ip", "ipv4-address", "The user with this IPv4 address"),
            Choice("ipv6", "ipv6-address", "The user with this IPv6 address"),
            Choice("circuit-id", "circuit-id", "The users behind this circuit"),
            Choice("remote-id", "remote-id", "The users behind this remote end"),
            Choice("pool", "address-pool", "The users of this address pool"),
            Choice("port", "logical-port", "The users behind this port"),
        ),
    ),
    View(
        ("links",),
        "Links to the cloud and to other routers",
        (
            Table(
                "/rui-link-status:link-status/link",
                _columns("far-end", "state", "rtt", "loss", "flaps", "last-change", "reason"),
            ),
            Table(
                "/rui-cloud:cloud-state/session",
                _columns("device=device-id", "state", "since", "tries", "last-error"),
            ),
        ),
    ),
    View(
        ("replication",),
        "The path of user-info, and how far each copy is",
        (
            Table(
                "/rui-link-status:link-status/group/path",
                _columns("group=../group-id", "secondary", "path=in-use", "since", "waiting-for", "reason"),
                "Paths",
            ),
            Table(
                "/rui-link-status:link-status/group/replica",
                _columns(
                    "group=../group-id",
                    "copy=name",
                    "state",
                    "lag=lag-records",
                    "seconds=lag-seconds",
                    "quarantined",
                    "cursor",
                ),
                "Copies",
            ),
            Table(
                "/rui-cloud:cloud-state/delivery",
                _columns("group=group-id", "device=device-id", "state", "lag", "cursor"),
                "Deliveries",
            ),
        ),
    ),
    View(
        ("identity", "current"),
        "Which router has which role",
        (
            Table(
                "/rui-identity:identity/group/member",
                _columns(
                    "group=../group-id", "device=device-id", "role", "epoch", "since", "address", "reason"
                ),
            ),
        ),
        (_GROUP,),
    ),
    View(
        ("identity", "history"),
        "How roles changed, newest first",
        (
            Table(
                "/rui-identity:identity/group/history",
                _columns(
                    "group=../group-id", "index", "device=device-id", "role", "epoch", "since", "reason"
                ),
            ),
        ),
        (_GROUP,),
    ),
    View(
        ("alarms",),
        "What is wrong now, and what was lately",
        (
            Table(
                "/rui-alarms:alarms/alarm",
                _columns(
                    "alarm=alarm-type-id",
                    "resource",
                    "severity=perceived-severity",
                    "cleared=is-cleared",
                    "last-raised",
                    "text=alarm-text",
                ),
            ),
        ),
    ),
    View(
        ("config-sync",),
        "How the members' configurations compare with the intended one",
        (
            Table(
                "/rui-config-sync:config-sync-state/member",
                _columns("group=group-id", "device=device-id", "state", "differences", "checked", "reason"),
            ),
        ),
    ),
    View(
        ("sessions",),
        "NETCONF and command line sessions of this device",
        (
            Table(
                "/ietf-netconf-monitoring:netconf-state/sessions/session",
                _columns("session=session-id", "user=username", "from=source-host", "login-time", "in-rpcs"),
            ),
        ),
    ),
)
