"""What an edit would set, as plain data: for checking its values before they meet the datastore."""

from __future__ import annotations

from lxml import etree

from netconf_server.edit import REMOVING, Operation, read_operation
from netconf_server.persist import empty_config
from netconf_server.xmltree import scope

_HAS_ATTRIBUTES = etree.XPath("boolean(.//@*)")


def payload_of(config: etree._Element, default: Operation) -> etree._Element:
    """The content of `config` without edit attributes and without what it deletes or removes: itself where it
    has no attributes, else a copy. Raises RpcError.
    """
    if not _HAS_ATTRIBUTES(config):
        return config
    payload = empty_config()
    for child in config.iterchildren(etree.Element):
        _add(payload, child, default)
    return payload


def _add(parent: etree._Element, source: etree._Element, inherited: Operation) -> None:
    operation = read_operation(source, inherited)
    if operation in REMOVING:
        return
    copy = etree.SubElement(parent, source.tag, nsmap=scope(source))
    children = list(source.iterchildren(etree.Element))
    if not children:
        copy.text = source.text
    for child in children:
        _add(copy, child, operation)
