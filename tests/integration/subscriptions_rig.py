"""What tests of subscriptions ask for (RFC 8639, RFC 8641), and a client that keeps events from replies."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lxml import etree

from netconf_server import Limits
from rui.netconf import names
from tests.integration.netconf_server_rig import TOY, Raw, Rig, errors, serving, toy

SN = "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications"
YP = "urn:ietf:params:xml:ns:yang:ietf-yang-push"
DS = "urn:ietf:params:xml:ns:yang:ietf-datastores"
ALARMS = f'<stream-subtree-filter><alarm xmlns="{TOY}"/></stream-subtree-filter>'


def alarm(number: int, severity: str = "minor") -> bytes:
    return f'<alarm xmlns="{TOY}"><severity>{severity}</severity><text>{number}</text></alarm>'.encode()


def time(**offset: float) -> str:
    return (datetime.now(UTC) + timedelta(**offset)).isoformat(timespec="milliseconds")


def establish(inner: str) -> str:
    return f'<establish-subscription xmlns="{SN}">{inner}</establish-subscription>'


def to_stream(more: str = ALARMS, stream: str = "NETCONF") -> str:
    return establish(f"<stream>{stream}</stream>{more}")


def to_datastore(datastore: str, trigger: str, chosen: str = "") -> str:
    store = f'<datastore xmlns="{YP}" xmlns:ds="{DS}">ds:{datastore}</datastore>'
    return establish(store + chosen + trigger)


def subtree(content: str) -> str:
    return f'<datastore-subtree-filter xmlns="{YP}">{content}</datastore-subtree-filter>'


def on_change(inner: str = "") -> str:
    return f'<on-change xmlns="{YP}">{inner}</on-change>'


def periodic(centiseconds: int) -> str:
    return f'<periodic xmlns="{YP}"><period>{centiseconds}</period></periodic>'


def on_id(name: str, number: int, more: str = "", namespace: str = SN) -> str:
    return f'<{name} xmlns="{namespace}"><id>{number}</id>{more}</{name}>'


class Client:
    """A session that keeps notifications and replies apart."""

    def __init__(self, raw: Raw) -> None:
        self.raw = raw
        self.held: list[etree._Element] = []

    async def ask(self, operation: str) -> etree._Element:
        self.raw.send_message(f'<rpc xmlns="{names.BASE}" message-id="1">{operation}</rpc>')
        while (message := etree.fromstring(await self.raw.message())).tag != names.RPC_REPLY:
            self.held.append(message[1])
        return message

    async def event(self) -> etree._Element:
        if self.held:
            return self.held.pop(0)
        async with asyncio.timeout(20):
            return etree.fromstring(await self.raw.message())[1]

    async def named(self, count: int) -> list[str]:
        """The next events: the text of an alarm, else the local name."""
        found = [await self.event() for _ in range(count)]
        return [event.findtext(toy("text")) or etree.QName(event).localname for event in found]

    async def establish(self, operation: str) -> int:
        reply = await self.ask(operation)
        assert not errors(reply), errors(reply)
        return int(reply.findtext(f"{{{SN}}}id") or 0)


@asynccontextmanager
async def rig_and_client(folder: Path, limits: Limits | None = None) -> AsyncIterator[tuple[Rig, Client]]:
    async with serving(folder, limits=limits, events=folder / "events") as rig, rig.raw() as raw:
        yield rig, Client(raw)


def text(element: etree._Element, name: str) -> str | None:
    found = next(element.iter(f"{{*}}{name}"), None)
    return None if found is None else (found.text or "").rpartition(":")[2]


def edits_of(update: etree._Element) -> list[etree._Element]:
    """The edits of a push-change-update's patch."""
    return list(update.iter(f"{{{YP}}}edit"))
