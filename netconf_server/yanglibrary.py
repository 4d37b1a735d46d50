"""Which modules the server has: /yang-library (RFC 8525) and, for old clients, /modules-state (RFC 7895)."""

from __future__ import annotations

import hashlib
from typing import Final

from lxml import etree

from rui.netconf import names
from rui.schema import Conformance, ModuleInfo, Schema

NAMESPACE: Final = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
LIBRARY: Final = f"{{{NAMESPACE}}}yang-library"
MODULES_STATE: Final = f"{{{NAMESPACE}}}modules-state"
_DATASTORES: Final = "urn:ietf:params:xml:ns:yang:ietf-datastores"
_SET, _SCHEMA = "all", "common"


def content_id(schema: Schema) -> str:
    """A short text that changes whenever the set of modules, their revisions or features do."""
    lines = []
    for module in schema.modules:
        extras = ",".join((*module.features, *module.deviations))
        lines.append(f"{module.name}@{module.revision} {module.conformance} {extras}")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def library_revision(schema: Schema) -> str:
    """The revision of ietf-yang-library that the schema implements."""
    return next(module.revision for module in schema.modules if module.name == "ietf-yang-library")


class LibraryTree:
    """Provides /yanglib:yang-library."""

    def __init__(self, schema: Schema) -> None:
        self._element = _library(schema)

    def read(self) -> etree._Element:
        """The tree, which never changes."""
        return self._element


class ModulesStateTree:
    """Provides /yanglib:modules-state."""

    def __init__(self, schema: Schema) -> None:
        self._element = _modules_state(schema)

    def read(self) -> etree._Element:
        """The tree, which never changes."""
        return self._element


def _add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")
    element.text = text
    return element


def _library(schema: Schema) -> etree._Element:
    root = etree.Element(LIBRARY, nsmap=names.nsmap(NAMESPACE, {"ds": _DATASTORES}))
    holder = _add(root, "module-set")
    _add(holder, "name", _SET)
    implemented = [module for module in schema.modules if module.conformance is Conformance.IMPLEMENT]
    for module in implemented:
        entry = _module(holder, "module", module, revision=module.revision or None)
        for feature in module.features:
            _add(entry, "feature", feature)
        for deviation in module.deviations:
            _add(entry, "deviation", deviation)
    for module in schema.modules:
        if module not in implemented:
            _module(holder, "import-only-module", module, revision=module.revision)
    common = _add(root, "schema")
    _add(common, "name", _SCHEMA)
    _add(common, "module-set", _SET)
    startup = ("startup",) if schema.has_feature("ietf-netconf", "startup") else ()
    for name in ("running", "candidate", *startup, "intended", "operational"):
        datastore = _add(root, "datastore")
        _add(datastore, "name", f"ds:{name}")
        _add(datastore, "schema", _SCHEMA)
    _add(root, "content-id", content_id(schema))
    return root


def _module(parent: etree._Element, name: str, module: ModuleInfo, *, revision: str | None) -> etree._Element:
    entry = _add(parent, name)
    _add(entry, "name", module.name)
    if revision is not None:
        _add(entry, "revision", revision)
    _add(entry, "namespace", module.namespace)
    for submodule in module.submodules:
        part = _add(entry, "submodule")
        _add(part, "name", submodule.name)
        if submodule.revision:
            _add(part, "revision", submodule.revision)
    return entry


def _modules_state(schema: Schema) -> etree._Element:
    root = etree.Element(MODULES_STATE, nsmap=names.nsmap(NAMESPACE))
    _add(root, "module-set-id", content_id(schema))
    revisions = {module.name: module.revision for module in schema.modules}
    for module in schema.modules:
        entry = _add(root, "module")
        _add(entry, "name", module.name)
        _add(entry, "revision", module.revision)
        _add(entry, "namespace", module.namespace)
        for feature in module.features:
            _add(entry, "feature", feature)
        for name in module.deviations:
            deviation = _add(entry, "deviation")
            _add(deviation, "name", name)
            _add(deviation, "revision", revisions.get(name, ""))
        _add(entry, "conformance-type", module.conformance.value)
        for submodule in module.submodules:
            part = _add(entry, "submodule")
            _add(part, "name", submodule.name)
            _add(part, "revision", submodule.revision)
    return root
