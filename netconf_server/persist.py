"""The file of the running datastore: read with every fault named, written so that a crash leaves the old or
the new.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from lxml import etree

from netconf_server.faults import to_xpath
from netconf_server.values import canonical
from rui.netconf import names
from rui.schema import DataError, Issue, Node, Schema

_ROOTS = frozenset({"config", "data"})


class StartupError(Exception):
    """A configuration file cannot be used; the text names the file, the place in it and the reason, a line
    each.
    """

    def __init__(self, path: Path, reasons: list[str]) -> None:
        super().__init__("\n".join(f"{path}: {reason}" for reason in reasons))
        self.path = path
        self.reasons = reasons


def empty_config() -> etree._Element:
    """A datastore tree with nothing in it."""
    return etree.Element(names.base("config"), nsmap=names.nsmap(names.BASE))


def read_config(path: Path, schema: Schema) -> etree._Element:
    """Read a configuration: top-level nodes in a `config` (or `data`) element. Raises StartupError."""
    try:
        root = parse_config(path.read_bytes())
    except OSError as error:
        raise StartupError(path, [f"cannot be read ({error.strerror})"]) from error
    except ValueError as error:
        raise StartupError(path, [str(error)]) from error
    try:
        schema.check_config(root, str(path))
    except DataError as error:
        raise StartupError(path, [_describe(issue, root, schema) for issue in error.issues]) from error
    _write_canonically(root, schema.tree.data)
    return root


def _write_canonically(parent: etree._Element, nodes: Mapping[str, Node]) -> None:
    """Have valid values as their types write them, as those of edits are."""
    for child in parent:
        node = nodes.get(str(child.tag))
        if node is not None and node.type is not None:
            child.text = canonical(child.text, node)
        elif node is not None and node.children:
            _write_canonically(child, node.children)


def parse_config(data: bytes) -> etree._Element:
    """A configuration file's content as a `config` element. Raises ValueError, which says where and why."""
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        remove_comments=True,
        remove_pis=True,
        remove_blank_text=True,
        huge_tree=True,
    )
    try:
        root = etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        raise ValueError(f"line {error.lineno}: not well-formed XML ({error.msg})") from error
    if root.getroottree().docinfo.internalDTD is not None:
        raise ValueError("a document type declaration is not allowed; remove it")
    if etree.QName(root).localname not in _ROOTS:
        advice = f"put the configuration in <config xmlns={names.BASE!r}>"
        raise ValueError(f"line {root.sourceline}: the root is {root.tag}; {advice}")
    # Renamed, not rebuilt: values may use prefixes that are declared on the root.
    root.tag = names.base("config")
    root.attrib.clear()
    return root


def config_bytes(tree: etree._Element) -> bytes:
    """A configuration as the content of a file."""
    return etree.tostring(tree, pretty_print=True, xml_declaration=True, encoding="UTF-8")


def _describe(issue: Issue, tree: etree._Element, schema: Schema) -> str:
    """The issue with the line of the nearest element that is there (libyang saw the text without its
    layout).
    """
    xpath, prefixes = to_xpath(issue.path, {module.name: module.namespace for module in schema.modules})
    while prefixes and xpath:
        found = tree.xpath(f".{xpath}", namespaces=prefixes)
        if isinstance(found, list) and found and isinstance(found[0], etree._Element):
            return f"line {found[0].sourceline}: {issue.path}: {issue.message}"
        xpath = xpath.rpartition("/")[0]
    return f"{issue.path or '/'}: {issue.message}"


def write_config(path: Path, tree: etree._Element) -> None:
    """Replace the file by this tree, durably: a temporary file, fsync, rename, fsync of the folder. Raises
    OSError.
    """
    temporary = path.with_name(f".{path.name}.new")
    data = config_bytes(tree)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    _sync_folder(path)


def remove_file(path: Path) -> None:
    """Remove a file durably; nothing to do when there is none. Raises OSError."""
    if path.exists():
        path.unlink()
        _sync_folder(path)


def before_file(path: Path) -> Path:
    """Where what was running is kept while a commit waits for its confirmation; `path` is running's file."""
    return path.with_name(f".{path.name}.before")


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
