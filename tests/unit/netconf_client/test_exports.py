"""The public face: the exported names, and the tree of exceptions as its file draws it."""

import inspect

import netconf_client
from netconf_client import errors
from netconf_client.api import ClientSession
from netconf_client.native import NativeSession
from netconf_client.vendor import VendorSession

EXPORTED = {
    "AuthenticationFailed",
    "CallHomeListener",
    "ClientSession",
    "ConnectFailed",
    "HostKeyPolicy",
    "HostKeyRejected",
    "KnownHosts",
    "NetconfClientError",
    "PinnedKey",
    "Reply",
    "ReplyTimeout",
    "SessionClosed",
    "Target",
    "TlsCallHomeListener",
    "TlsTarget",
    "TrustOnFirstUse",
    "connect",
    "connect_tls",
}


def test_the_exported_names_are_these() -> None:
    assert set(netconf_client.__all__) == EXPORTED
    assert all(hasattr(netconf_client, name) for name in EXPORTED)


def tree(kind: type[BaseException], depth: int = 0) -> list[tuple[int, str]]:
    below = [found for child in kind.__subclasses__() for found in tree(child, depth + 1)]
    return [(depth, kind.__name__), *below]


def test_the_exceptions_are_the_tree_that_is_drawn() -> None:
    lines = [line[4:] for line in (errors.__doc__ or "").splitlines() if line.startswith("    ")]
    names = [line.lstrip("\u2502\u251c\u2514\u2500 ") for line in lines]
    drawn = [((len(line) - len(name)) // 4, name.split()[0]) for line, name in zip(lines, names, strict=True)]
    assert drawn == tree(errors.NetconfClientError)


def test_both_drivers_have_the_whole_interface_with_the_same_parameters() -> None:
    for name, member in vars(ClientSession).items():
        if name.startswith("_"):
            continue
        for driver in (NativeSession, VendorSession):
            own = getattr(driver, name)
            if isinstance(member, property):
                assert isinstance(own, property)
            else:
                assert inspect.signature(own) == inspect.signature(member), name


def test_exceptions_say_where_and_why() -> None:
    assert str(errors.ConnectFailed("a:830", "no route")) == "a:830: no route"
    assert str(errors.ReplyTimeout("a:830", "get", 2.5)) == "a:830: no reply to get within 2.5 s"
    assert str(errors.SessionClosed("a:830", "killed")) == "a:830: session is over: killed"
