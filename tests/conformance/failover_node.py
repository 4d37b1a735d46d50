"""A router at one end of an RBS channel: its member, and what decides or informs (FIG. 6 to FIG. 9).

``<ready/>`` stands for FIG. 4 behind it and all three links up. ``<own-link/>`` and ``<rbs-link/>`` say what
has become of a link; all else that goes in or comes out crosses the channel as it is written here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from lxml import etree

from rui.backup import rbs, wire
from rui.backup.decision import Path, Policy
from rui.backup.failover import (
    Ask,
    Decider,
    FailoverOptions,
    Informant,
    Output,
    PathChanged,
    StartLocal,
    StopLocal,
    Tell,
    TellWait,
)
from rui.backup.identity import IdentityResult, Role
from rui.backup.links import LinkState
from rui.backup.messages import Position
from rui.backup.source import SourceOptions
from rui.schema import Schema
from tests.conformance.nodes import GROUP, MemberNode, batch_element, make_element

PEER = {Role.PRIMARY: "bras-b", Role.SECONDARY: "bras-a"}
DEVICE = {Role.PRIMARY: "bras-a", Role.SECONDARY: "bras-b"}


class FailoverNode(MemberNode):
    """The core of ``router.rbs`` with the channel's messages written down instead of sent."""

    def __init__(self, initiates: bool, attributes: Mapping[str, str], schema: Schema) -> None:
        self._role = Role(attributes["role"])
        super().__init__(self._role, {}, schema)
        options = FailoverOptions(
            fault_policy=Policy(attributes.get("fault-policy", "confirm")),
            degraded_policy=Policy(attributes.get("degraded-policy", "immediate")),
        )
        self._decider = Decider(self._role, options, 0.0) if initiates else None
        self._informant = None if initiates else Informant(self._role)
        self._own = LinkState.UNKNOWN
        self._path = Path.CLOUD
        self._replies: list[etree._Element] = []

    def take(self, step: etree._Element, now: float) -> Iterable[etree._Element]:
        name = etree.QName(step).localname
        inputs: dict[str, Callable[[etree._Element, float], None]] = {
            "ready": self._ready,
            "own-link": self._own_link,
            "rbs-link": self._rbs_link,
            "reply": self._reply,
            "user-info-upload": self._uploaded,
        }
        local = step.attrib.pop("from", "") == PEER[self._role]
        if name in inputs:
            inputs[name](step, now)
        elif step.tag in rbs.TELLS.values():
            self._schema.check_notification(step)
            self._decides().told(rbs.decode_cloud_link(step).state, now)
        elif step.tag.startswith(f"{{{rbs.FAILOVER}}}"):
            self._schema.check_rpc(step)
            self._asked(step)
        elif local and name == "acknowledge-user-info":
            self._schema.check_rpc(step)
            self._member.local_receipt(PEER[self._role], wire.decode_receipt(step), now)
        elif local and name == "deliver-user-info":
            self._schema.check_rpc(step)
            self._tag += 1
            batch = wire.decode_batch(step, etree.tostring(step))
            self._member.receive(batch, (), f"delivery {self._tag}", via=PEER[self._role])
        elif name == "timer" and self._decider is not None:
            self._decider.handle_timer(now)
            self._member.handle_timer(now)
        else:
            super().step(step, now)
        return self._drain(now)

    # --- what goes in

    def _ready(self, _: etree._Element, now: float) -> None:
        member = self._member
        member.start()
        member.stored()
        member.cloud_up()
        self._accept()
        if self._decider is not None:
            self._decider.rbs_link(LinkState.UP, now)
            self._decider.own_link(LinkState.UP, now)
        if self._informant is not None:
            self._informant.rbs_link(LinkState.UP)
            self._informant.own_link(LinkState.UP)
            self._informant.outputs()
        self._own = LinkState.UP
        member.outputs()

    def _accept(self) -> None:
        if self._role is Role.PRIMARY:
            member = self._member
            held = member.source.position
            member.identity_result(
                IdentityResult(GROUP, member.device, True, "", member.epoch, "store-1", held)
            )
            member.stored()

    def _own_link(self, step: etree._Element, now: float) -> None:
        self._own = LinkState(step.get("state", ""))
        if self._own is LinkState.DOWN:
            self._member.cloud_down("timeout")
        elif not self._member.cloud_connected:
            self._member.cloud_connected = True
            self._accept()
        if self._decider is not None:
            self._decider.own_link(self._own, now)
        if self._informant is not None:
            self._informant.own_link(self._own)

    def _rbs_link(self, step: etree._Element, now: float) -> None:
        state = LinkState(step.get("state", ""))
        if self._decider is not None:
            self._decider.rbs_link(state, now)
        if self._informant is not None:
            self._informant.rbs_link(state)

    def _reply(self, step: etree._Element, now: float) -> None:
        operation = step.get("to", "")
        failover = operation != "deliver-user-info"
        self._schema.check_output(f"{{{rbs.FAILOVER if failover else wire.BACKUP}}}{operation}", list(step))
        if operation.endswith("query"):
            self._decides().answer(rbs.decode_cloud_link(step).state, now)
        elif operation == "start-local-backup":
            self._decides().started(self._attempt, now)
            if self._role is Role.PRIMARY:
                self._begin(rbs.decode_started(step) or Position())
        elif not failover:
            self._member.local_receipt(PEER[self._role], wire.decode_receipt(step), now)

    def _uploaded(self, step: etree._Element, _: float) -> None:
        self._schema.check_notification(step)
        self._tag += 1
        batch = wire.decode_batch(step, etree.tostring(step))
        self._member.receive(batch, (), "acknowledge", via=PEER[self._role])

    def _asked(self, step: etree._Element) -> None:
        """What the initiator asks of the other end."""
        informant = self._informant
        assert informant is not None, "only the end that does not initiate is asked"
        output: list[etree._Element] = []
        if step.tag in rbs.QUERIES.values():
            link = rbs.CloudLink(GROUP, DEVICE[self._role], informant.query())
            output = rbs.encode_response(self._role, link)
        elif step.tag in rbs.WAITS.values():
            informant.told_to_wait()
        elif step.tag == rbs.START:
            start = rbs.decode_start(step)
            self._follow(start.path)
            if start.position is not None:
                self._begin(start.position)
            else:
                output = rbs.encode_started(self._member.position)
        elif step.tag == rbs.CHANGE:
            _, path = rbs.decode_change(step)
            self._follow(path)
            if not path.local:
                self._member.stop_local(PEER[self._role])
            output = rbs.encode_changed(self._member.cloud_has_all)
        if output:
            self._schema.check_output(step.tag, output)
        self._replies.append(make_element("reply", {"to": etree.QName(step).localname}, output))

    # --- what comes out

    def _drain(self, now: float) -> Iterable[etree._Element]:
        yield from self._replies
        self._replies.clear()
        member, decider = self._member, self._decider
        if decider is not None and self._role is Role.PRIMARY:
            decider.caught_up(member.cloud_has_all, now)
        for core in (decider, self._informant):
            for output in core.outputs() if core else ():
                yield from self._write(output)
        path = decider.path if decider else self._path
        member.uploads = path.uploads
        if self._role is Role.SECONDARY:
            member.obtain(not (decider.local if decider else path.local))
        for element in super()._drain(now):
            if element.get("to") == "acknowledge":
                yield self._sent(make_element(wire.ACKNOWLEDGE, {}, list(element)), {})
            else:
                yield element
        while (batch := member.next_local(PEER[self._role], now)) is not None:
            element = batch_element(batch, wire.DELIVER if decider else wire.UPLOAD)
            if decider is None:
                self._schema.check_notification(element)
                yield make_element("local", {}, [element])
            else:
                yield make_element("local", {}, [self._sent(element, {})])

    def _write(self, output: Output) -> Iterable[etree._Element]:
        match output:
            case Ask(step):
                yield self._sent(rbs.encode_group(rbs.QUERIES[self._role], GROUP), {"step": step})
            case Tell(step, kind):
                element = rbs.encode_tell(
                    self._role, kind, rbs.CloudLink(GROUP, DEVICE[self._role], self._own)
                )
                self._schema.check_notification(element)
                yield make_element("notify", {"step": step}, [element])
            case TellWait(step):
                yield self._sent(rbs.encode_group(rbs.WAITS[self._role], GROUP), {"step": step})
            case StartLocal(step, attempt):
                self._attempt = attempt
                position = self._member.position if self._role is Role.SECONDARY else None
                start = rbs.Start(GROUP, self._role, self._decides().path, position)
                yield self._sent(rbs.encode_start(start), {"step": step})
            case StopLocal():
                self._member.stop_local(PEER[self._role])
                yield self._sent(rbs.encode_change(GROUP, Path.CLOUD), {})
            case PathChanged(previous, path, reason, step, _):
                yield make_element(
                    "path", {"step": step, "old": previous.value, "new": path.value, "reason": reason}
                )
                decider = self._decides()
                if decider.local and path.local:
                    yield self._sent(rbs.encode_change(GROUP, path), {})

    def _sent(self, operation: etree._Element, attributes: Mapping[str, str]) -> etree._Element:
        self._schema.check_rpc(operation)
        return make_element("send", attributes, [operation])

    def _follow(self, path: Path) -> None:
        if path is not self._path:
            said = {"old": self._path.value, "new": path.value, "reason": "said by the initiator"}
            self._replies.append(make_element("path", said))
        self._path = path

    def _begin(self, position: Position) -> None:
        self._member.start_local(PEER[self._role], position, SourceOptions())

    def _decides(self) -> Decider:
        assert self._decider is not None, "only the initiator decides"
        return self._decider
