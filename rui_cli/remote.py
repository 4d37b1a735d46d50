"""A session over the wire for the command line, and the model of the server behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs

from lxml import etree

from netconf_client import ClientSession, NetconfClientError
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.netconf.events import NotificationReceived
from rui.schema import Schema, SchemaError, installed_directories

_LIBRARY = "urn:ietf:params:xml:ns:yang:ietf-yang-library"
_TIMEOUT = 60.0


class RemoteSession:
    """A session over the wire as the command line uses one; a reply is held whole."""

    def __init__(self, session: ClientSession, user: str) -> None:
        self._session = session
        self._waiting: asyncio.Future[str] | None = None
        self.user = user

    async def call(self, operation: etree._Element) -> AsyncIterator[bytes]:
        """Yield the body of the reply. Raises RpcError, and ConnectionError where the session is over."""
        try:
            reply = await self._session.rpc(operation, timeout=_TIMEOUT)
        except NetconfClientError as error:
            raise ConnectionError(str(error)) from error
        for element in reply.content:
            if element.tag != names.OK:
                yield etree.tostring(element, with_tail=False)

    def on_notification(self, callback: Callable[[str, bytes], None] | None) -> None:
        """Have `callback` given time and content of each notification."""

        def take(event: NotificationReceived) -> None:
            if callback is not None:
                callback(event.event_time, etree.tostring(event.content, with_tail=False))

        self._session.on_notification(take)

    def on_end(self, callback: Callable[[str], None]) -> None:
        """Have `callback` given the reason when the session is over."""
        self._waiting = asyncio.ensure_future(self._session.wait_closed())
        self._waiting.add_done_callback(lambda done: None if done.cancelled() else callback(done.result()))

    def close(self, _reason: str) -> None:
        """Wait no more; the owner of the connection ends it."""
        if self._waiting is not None:
            self._waiting.cancel()


class Module(NamedTuple):
    """One module of a server."""

    name: str
    revision: str
    implemented: bool
    features: tuple[str, ...]


async def read_schema(session: ClientSession, folder: Path) -> Schema:
    """Fetch the modules of a server into `folder` and load them, without those that do not compile.

    Raises SchemaError when none does, RpcError and NetconfClientError.
    """
    modules = await _library(session) or list(_from_hello(session))
    for module in modules:
        try:
            text = await session.get_schema(module.name, module.revision or None)
        except RpcError:
            continue  # pyang's own copy may stand in for it
        if not text.strip():
            continue
        (folder / f"{module.name}.yang").write_text(text, encoding="utf-8")
    wanted = {module.name: module.features for module in modules if module.implemented}
    while True:
        try:
            # Beside the loop, which answers the server's keepalives meanwhile
            places = (folder, *installed_directories())
            return await asyncio.to_thread(Schema.load, wanted, places, features=wanted)
        except SchemaError as error:
            faulty = {Path(problem.file).stem.partition("@")[0] for problem in error.problems} & wanted.keys()
            if not faulty:
                raise
            for name in faulty:
                del wanted[name]


async def _library(session: ClientSession) -> list[Module]:
    """What the server's YANG library says (RFC 8525), and of it whatever it has of RFC 7895."""
    wanted = [etree.Element(f"{{{_LIBRARY}}}{name}") for name in ("yang-library", "modules-state")]
    found: dict[str, Module] = {}
    for top in wanted:
        try:
            data = (await session.get(top)).data
        except RpcError:
            continue
        for entry in data.iter(f"{{{_LIBRARY}}}module", f"{{{_LIBRARY}}}import-only-module"):
            module = _module(entry)
            if module.name and (module.name not in found or module.implemented):
                found[module.name] = module
            for part in entry.iterfind(f"{{{_LIBRARY}}}submodule"):
                name = _text(part, "name")
                found.setdefault(name, Module(name, _text(part, "revision"), False, ()))
        if found:
            break
    return list(found.values())


def _module(entry: etree._Element) -> Module:
    conformance = _text(entry, "conformance-type") or (
        "import" if etree.QName(entry).localname == "import-only-module" else "implement"
    )
    features = tuple(item.text or "" for item in entry.iterfind(f"{{{_LIBRARY}}}feature"))
    return Module(_text(entry, "name"), _text(entry, "revision"), conformance == "implement", features)


def _text(entry: etree._Element, name: str) -> str:
    return (entry.findtext(f"{{{_LIBRARY}}}{name}") or "").strip()


def _from_hello(session: ClientSession) -> list[Module]:
    """The modules that the capabilities name (RFC 6020 section 5.6.4)."""
    found = []
    for capability in session.capabilities:
        words = parse_qs(capability.partition("?")[2])
        for name in words.get("module", ()):
            revision = words.get("revision", [""])[0]
            features = tuple(",".join(words.get("features", ())).split(","))
            found.append(Module(name, revision, True, tuple(filter(None, features))))
    return found
