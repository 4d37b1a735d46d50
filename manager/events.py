"""Events for whoever subscribes to the cloud's own stream NETCONF (YANG notification ``cloud-event``)."""

from __future__ import annotations

from lxml import etree

from manager.config import NAMESPACE
from netconf_server import Stream
from rui.netconf import names


class Events:
    """Publishes events on a stream; without a stream yet they are only logged by whoever reports them."""

    def __init__(self) -> None:
        self._stream: Stream | None = None

    def attach(self, stream: Stream) -> None:
        """Publish on this stream from now on."""
        self._stream = stream

    def tell(self, event: str, device: str, group: str, reason: str, count: int) -> None:
        """Publish one event; empty texts are left out."""
        if self._stream is None or not self._stream.subscriptions:
            return
        content = etree.Element(f"{{{NAMESPACE}}}cloud-event", nsmap=names.nsmap(NAMESPACE))
        for name, text in (
            ("event", event),
            ("device-id", device),
            ("group-id", group),
            ("reason", reason),
            ("count", str(count)),
        ):
            if text:
                etree.SubElement(content, f"{{{NAMESPACE}}}{name}").text = text
        self._stream.publish(content)
