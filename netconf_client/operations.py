"""The standard operations of RFC 6241, 5277 and 6022 on top of a driver's `rpc`."""

import re
from abc import ABC, abstractmethod

from lxml import etree

from netconf_client.api import DEFAULT_TIMEOUT, Reply
from rui.netconf import messages, names
from rui.netconf.errors import RpcError, first_error

_NAME = re.compile(rb"<(?:[A-Za-z0-9._-]+:)?([A-Za-z_][A-Za-z0-9._-]*)")


class Operations(ABC):
    """Builds the operations; a driver adds `rpc`. See ClientSession for what each does."""

    @abstractmethod
    async def rpc(self, operation: messages.Body, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Send one operation and return its reply."""

    async def get(self, subtree: messages.Body | None = None, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Get state and configuration; `subtree` is the content of a subtree filter."""
        operation = _operation("get")
        return await self.rpc(_with_filter(operation, names.base("filter"), subtree), timeout=timeout)

    async def get_config(
        self,
        source: str = "running",
        subtree: messages.Body | None = None,
        *,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Reply:
        """Get the configuration of a datastore; `subtree` is the content of a subtree filter."""
        operation = _datastore(_operation("get-config"), "source", source)
        return await self.rpc(_with_filter(operation, names.base("filter"), subtree), timeout=timeout)

    async def edit_config(
        self,
        config: messages.Body,
        *,
        target: str = "candidate",
        default_operation: str | None = None,
        test_option: str | None = None,
        error_option: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Reply:
        """Edit a datastore; `config` is the content of the config element."""
        operation = _datastore(_operation("edit-config"), "target", target)
        options = {
            "default-operation": default_operation,
            "test-option": test_option,
            "error-option": error_option,
        }
        for name, value in options.items():
            if value is not None:
                etree.SubElement(operation, names.base(name)).text = value
        etree.SubElement(operation, names.base("config"))
        return await self.rpc(_fill(operation, config), timeout=timeout)

    async def commit(self, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Make the candidate the running configuration."""
        return await self.rpc(_operation("commit"), timeout=timeout)

    async def discard_changes(self, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Reset the candidate to the running configuration."""
        return await self.rpc(_operation("discard-changes"), timeout=timeout)

    async def validate(self, source: str = "candidate", *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Have the server check a datastore."""
        return await self.rpc(_datastore(_operation("validate"), "source", source), timeout=timeout)

    async def lock(self, target: str, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Lock a datastore."""
        return await self.rpc(_datastore(_operation("lock"), "target", target), timeout=timeout)

    async def unlock(self, target: str, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Unlock a datastore."""
        return await self.rpc(_datastore(_operation("unlock"), "target", target), timeout=timeout)

    async def get_schema(
        self, identifier: str, version: str | None = None, *, timeout: float = DEFAULT_TIMEOUT
    ) -> str:
        """Return the text of a YANG module (RFC 6022)."""
        operation = _operation("get-schema", names.MONITORING)
        _leaf(operation, "identifier", identifier)
        if version is not None:
            _leaf(operation, "version", version)
        _leaf(operation, "format", "yang")
        reply = await self.rpc(operation, timeout=timeout)
        data = reply.element.find(f"{{{names.MONITORING}}}data")
        if data is None:
            raise RpcError.missing_element("data", f"the reply holds no text of module {identifier}")
        return data.text or ""

    async def create_subscription(
        self,
        stream: str | None = None,
        *,
        subtree: messages.Body | None = None,
        start_time: str | None = None,
        stop_time: str | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> Reply:
        """Subscribe to a stream (RFC 5277); times in RFC 3339, `subtree` is a subtree filter's content."""
        operation = _operation("create-subscription", names.NOTIFICATION)
        if stream is not None:
            _leaf(operation, "stream", stream)
        body = _with_filter(operation, f"{{{names.NOTIFICATION}}}filter", subtree)
        for name, value in (("startTime", start_time), ("stopTime", stop_time)):
            if value is not None:
                _leaf(body, name, value)
        return await self.rpc(body, timeout=timeout)

    async def kill_session(self, session_id: int, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Have the server end another session."""
        operation = _operation("kill-session")
        _leaf(operation, "session-id", str(session_id))
        return await self.rpc(operation, timeout=timeout)


def _operation(name: str, namespace: str = names.BASE) -> etree._Element:
    return etree.Element(f"{{{namespace}}}{name}", nsmap=names.nsmap(namespace))


def _leaf(parent: etree._Element, name: str, text: str) -> None:
    namespace = names.split(str(parent.tag))[0]
    etree.SubElement(parent, f"{{{namespace}}}{name}").text = text


def _datastore(operation: etree._Element, role: str, name: str) -> etree._Element:
    etree.SubElement(etree.SubElement(operation, names.base(role)), names.base(name))
    return operation


def _with_filter(operation: etree._Element, tag: str, content: messages.Body | None) -> etree._Element:
    """Add a subtree filter; the type attribute has its plain name, as in RFC 6241's own examples."""
    if content is not None:
        etree.SubElement(operation, tag, type="subtree")
        _fill(operation, content)
    return operation


def _fill(operation: etree._Element, content: messages.Body) -> etree._Element:
    """Put `content` into the operation's last child."""
    parent = operation[-1]
    text = b"".join((b"<content>", *messages.to_pieces(content), b"</content>"))
    for child in messages.children(messages.MessageParser().parse(text)):
        if names.split(str(child.tag))[0] is None:
            raise ValueError(f"element {child.tag!r} has no namespace")
        parent.append(child)
    return operation


def as_element(operation: messages.Body) -> etree._Element:
    """Return an operation as an element, for a driver that cannot send bytes. Raises MessageError."""
    if isinstance(operation, etree._Element):
        return operation
    return messages.MessageParser().parse(b"".join(messages.to_pieces(operation)))


def operation_name(operation: messages.Body) -> str:
    """Return the operation's name for messages to people, without parsing bytes."""
    if isinstance(operation, etree._Element):
        return names.split(str(operation.tag))[1]
    found = _NAME.search(b"".join(messages.to_pieces(operation)[:1])[:200])
    return found[1].decode("ascii") if found else "nothing"


def make_reply(element: etree._Element, raw: bytes) -> Reply:
    """Turn an rpc-reply into a Reply, with its warnings. Raises RpcError when it reports an error."""
    errors = [RpcError.from_xml(found) for found in element.findall(names.RPC_ERROR)]
    if errors:
        failed = first_error(errors)
        if failed is not None:
            raise failed
    return Reply(element, raw, tuple(errors))
