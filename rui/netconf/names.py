"""The names of NETCONF: namespaces, qualified element names and capability URIs."""

from collections.abc import Iterable, Mapping
from typing import Final, cast

BASE: Final = "urn:ietf:params:xml:ns:netconf:base:1.0"
NOTIFICATION: Final = "urn:ietf:params:xml:ns:netconf:notification:1.0"
MONITORING: Final = "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring"

CAP_BASE_1_0: Final = "urn:ietf:params:netconf:base:1.0"
CAP_BASE_1_1: Final = "urn:ietf:params:netconf:base:1.1"
CAP_WRITABLE_RUNNING: Final = "urn:ietf:params:netconf:capability:writable-running:1.0"
CAP_CANDIDATE: Final = "urn:ietf:params:netconf:capability:candidate:1.0"
CAP_VALIDATE_1_1: Final = "urn:ietf:params:netconf:capability:validate:1.1"
CAP_XPATH: Final = "urn:ietf:params:netconf:capability:xpath:1.0"
CAP_NOTIFICATION: Final = "urn:ietf:params:netconf:capability:notification:1.0"
CAP_INTERLEAVE: Final = "urn:ietf:params:netconf:capability:interleave:1.0"


def base(name: str) -> str:
    """Return `name` qualified by the NETCONF base namespace, in lxml's `{namespace}name` form."""
    return f"{{{BASE}}}{name}"


def nsmap(default: str, prefixes: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return a namespace map for lxml with a default namespace: its stubs know no None key."""
    return cast("dict[str, str]", {None: default, **(prefixes or {})})


def split(qualified: str) -> tuple[str | None, str]:
    """Split `{namespace}name` into (namespace or None, name)."""
    if qualified.startswith("{"):
        namespace, _, name = qualified[1:].partition("}")
        return namespace, name
    return None, qualified


HELLO: Final = base("hello")
CAPABILITIES: Final = base("capabilities")
CAPABILITY: Final = base("capability")
SESSION_ID: Final = base("session-id")
RPC: Final = base("rpc")
RPC_REPLY: Final = base("rpc-reply")
RPC_ERROR: Final = base("rpc-error")
OK: Final = base("ok")
DATA: Final = base("data")
CLOSE_SESSION: Final = base("close-session")
NOTIFICATION_MESSAGE: Final = f"{{{NOTIFICATION}}}notification"
EVENT_TIME: Final = f"{{{NOTIFICATION}}}eventTime"


def has_capability(capabilities: Iterable[str], wanted: str) -> bool:
    """Say whether `wanted` is among `capabilities`; parameters after `?` are not compared (RFC 6241 8.1)."""
    return any(capability.partition("?")[0] == wanted for capability in capabilities)
