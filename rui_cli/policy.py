"""Who may do what on the devices of a site (RFC 8341): administrators all, others what the procedures need.

Reading, writing and calling are closed unless a rule opens them; docs/security.md says what each party needs
and why.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rui_cli.site import Content

NAMESPACE = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
ADMIN, CLOUD, PEER, ROUTER = "admin", "cloud", "peer-router", "router"

Rule = Mapping[str, "Content"]

_SUBSCRIBE: Rule = {"name": "subscribe", "rpc-name": "create-subscription"}
_UPLOAD: Rule = {"name": "upload", "module-name": "rui-backup", "notification-name": "user-info-upload"}


def _rpc(module: str, name: str) -> Rule:
    return {"name": name, "module-name": module, "rpc-name": name}


_AUDIT: Sequence[Rule] = (_rpc("rui-audit", "list-user-info"), _rpc("rui-audit", "audit-result"))
_CLOUD_AT_ROUTER: Sequence[Rule] = (
    _SUBSCRIBE,
    {"name": "identities", "module-name": "rui-identity"},
    {"name": "user-info", "module-name": "rui-backup"},
    _rpc("rui-failover", "link-probe"),
    {"name": "switching", "module-name": "rui-switchover"},
    *_AUDIT,
)
_PEER_AT_ROUTER: Sequence[Rule] = (
    _SUBSCRIBE,
    {"name": "failover", "module-name": "rui-failover"},
    _rpc("rui-backup", "deliver-user-info"),
    _rpc("rui-backup", "acknowledge-user-info"),
    _UPLOAD,
    _rpc("rui-backup", "digest-user-info"),
    _rpc("rui-switchover", "identity-taken"),
    _rpc("rui-switchover", "identity-shared"),
    _rpc("rui-switchover", "identity-free"),
    {
        "name": "identity-is-taken",
        "module-name": "rui-switchover",
        "notification-name": "identity-is-taken",
    },
    {
        "name": "identity-is-shared",
        "module-name": "rui-switchover",
        "notification-name": "identity-is-shared",
    },
    {
        "name": "identity-is-free",
        "module-name": "rui-switchover",
        "notification-name": "identity-is-free",
    },
    *_AUDIT,
)
_ROUTER_AT_CLOUD: Sequence[Rule] = (_rpc("rui-backup", "fetch-user-info"),)


def router_policy(admins: Sequence[str], clouds: Sequence[str], peers: Sequence[str]) -> dict[str, Content]:
    """The content of a router's `nacm` container; the arguments are names of its accounts."""
    return _policy(
        {ADMIN: admins, CLOUD: clouds, PEER: peers}, {CLOUD: _CLOUD_AT_ROUTER, PEER: _PEER_AT_ROUTER}
    )


def manager_policy(admins: Sequence[str], routers: Sequence[str]) -> dict[str, Content]:
    """The content of the manager's `nacm` container; the arguments are names of its accounts."""
    return _policy({ADMIN: admins, ROUTER: routers}, {ROUTER: _ROUTER_AT_CLOUD})


def _policy(members: Mapping[str, Sequence[str]], rules: Mapping[str, Sequence[Rule]]) -> dict[str, Content]:
    everything: Rule = {"name": "everything"}
    return {
        "read-default": "deny",
        "write-default": "deny",
        "exec-default": "deny",
        "groups": {
            "group": [{"name": group, "user-name": list(users)} for group, users in members.items() if users]
        },
        "rule-list": [
            {
                "name": group,
                "group": group,
                "rule": [{**rule, "action": "permit"} for rule in rules.get(group, [everything])],
            }
            for group in members
        ],
    }
