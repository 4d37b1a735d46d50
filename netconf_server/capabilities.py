"""What the server announces in its hello, and the modules that it needs for its own operations."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from netconf_server import defaults, etag, partialops
from netconf_server.yanglibrary import content_id, library_revision
from rui.netconf import names
from rui.schema import FEATURES, Conformance, ModuleInfo, Schema

OWN_MODULES: Final = (
    "ietf-netconf",
    "ietf-netconf-monitoring",
    "ietf-yang-library",
    "ietf-datastores",
    "ietf-origin",
    "ietf-netconf-with-defaults",
    "ietf-netconf-nmda",
    "ietf-netconf-partial-lock",
    "ietf-netconf-txid",
    "notifications",
    "nc-notifications",
    "ietf-netconf-notifications",
    "ietf-subscribed-notifications",
    "ietf-yang-push",
)
_BY_FEATURE: Final[Mapping[str, str]] = {
    "writable-running": names.CAP_WRITABLE_RUNNING,
    "candidate": names.CAP_CANDIDATE,
    "confirmed-commit": "urn:ietf:params:netconf:capability:confirmed-commit:1.1",
    "validate": names.CAP_VALIDATE_1_1,
    "rollback-on-error": "urn:ietf:params:netconf:capability:rollback-on-error:1.0",
    "xpath": names.CAP_XPATH,
    "startup": "urn:ietf:params:netconf:capability:startup:1.0",
    "url": "urn:ietf:params:netconf:capability:url:1.0?scheme=file",
}
_LIBRARY: Final = "urn:ietf:params:netconf:capability:yang-library"
_YANG_1_1 = re.compile(r"""\byang-version\s+["']?1\.1""")


def load_schema(
    modules: Iterable[str],
    search: Sequence[Path] = (),
    *,
    features: Mapping[str, Collection[str]] | None = None,
    kept: str = "",
) -> Schema:
    """Load modules together with those that the server's own operations need.

    Parameters and SchemaError are those of Schema.load.
    """
    enabled: dict[str, tuple[str, ...]] = {name: tuple(found) for name, found in (features or {}).items()}
    for name, own in FEATURES.items():
        enabled[name] = (*own, *enabled.get(name, ()))
    return Schema.load([*modules, *OWN_MODULES], search, features=enabled, kept=kept)


def server_capabilities(schema: Schema) -> tuple[str, ...]:
    """The capabilities: protocol versions, features, the YANG library, YANG 1.0 modules (RFC 6020 5.6.4)."""
    netconf = next(module for module in schema.modules if module.name == "ietf-netconf")
    own = (
        names.CAP_BASE_1_0,
        names.CAP_BASE_1_1,
        *(capability for feature, capability in _BY_FEATURE.items() if feature in netconf.features),
        names.CAP_NOTIFICATION,
        names.CAP_INTERLEAVE,
        *defaults.CAPABILITIES,
        partialops.CAPABILITY,
        etag.CAPABILITY,
        f"{_LIBRARY}:1.0?revision={library_revision(schema)}&module-set-id={content_id(schema)}",
        f"{_LIBRARY}:1.1?revision={library_revision(schema)}&content-id={content_id(schema)}",
    )
    implemented = [module for module in schema.modules if module.conformance is Conformance.IMPLEMENT]
    return (
        *own,
        *(_module_capability(module) for module in implemented if not _YANG_1_1.search(module.source)),
    )


def _module_capability(module: ModuleInfo) -> str:
    parameters = [f"module={quote(module.name)}"]
    parameters += [f"revision={module.revision}"] if module.revision else []
    parameters += [f"features={','.join(module.features)}"] if module.features else []
    parameters += [f"deviations={','.join(module.deviations)}"] if module.deviations else []
    return f"{module.namespace}?{'&'.join(parameters)}"
