"""Runs a case against a server and says what was otherwise than expected."""

from __future__ import annotations

import re
import time
from typing import Any

from lxml import etree

from tests.conformance.netconf.casefile import Case, Step
from tests.conformance.netconf.wire import BASE, NOTIFICATION, TIMEOUT, ClosedError, Connections, Session

TOP = "urn:example:nc-conformance"
PREFIXES = {
    "nc": BASE,
    "n": NOTIFICATION,
    "c": TOP,
    "ev": "urn:ietf:params:xml:ns:netmod:notification",
    "ncn": "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications",
    "ncm": "urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring",
    "yl": "urn:ietf:params:xml:ns:yang:ietf-yang-library",
    "sn": "urn:ietf:params:xml:ns:yang:ietf-subscribed-notifications",
    "yp": "urn:ietf:params:xml:ns:yang:ietf-yang-push",
    "nmda": "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda",
    "pl": "urn:ietf:params:xml:ns:netconf:partial-lock:1.0",
    "tx": "urn:ietf:params:xml:ns:yang:ietf-netconf-txid",
    "txid": "urn:ietf:params:xml:ns:netconf:txid:1.0",
    "wd": "urn:ietf:params:xml:ns:netconf:default:1.0",
}
_CAPABILITY = "urn:ietf:params:netconf:capability:"


class Server:
    """The server under test: what its hello announced, and the names that cases use for its parts."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        session = self.open()
        self.capabilities = session.capabilities
        self.target = "candidate" if self.has("candidate") else "running"
        library = session.rpc(_MODULES)
        self.modules = {(found.text or "").strip() for found in library.iterfind(".//{*}module/{*}name")} | {
            match[1] for item in self.capabilities if (match := re.search(r"[?&]module=([\w.-]+)", item))
        }
        session.close()
        self._shared: Session | None = None

    def shared(self) -> Session:
        """The session of the cases that leave no trace on theirs."""
        if self._shared is None:
            self._shared = self.open()
        return self._shared

    def close(self) -> None:
        """End the shared session; the next case makes a new one."""
        if self._shared is not None:
            self._shared.close()
            self._shared = None

    def open(self, version: str = "1.1", hello: str | None = None) -> Session:
        """A session whose hellos were exchanged."""
        session = Session(self._connections.channel(), version)
        session.greet(hello)
        return session

    def raw(self, version: str) -> Session:
        """A session on which nothing was exchanged."""
        return Session(self._connections.channel(), version)

    def has(self, name: str) -> bool:
        """Say whether the server has a capability (`candidate`, `base:1.1`) or a module (`module:x`)."""
        if name.startswith("module:"):
            return name.removeprefix("module:") in self.modules
        if name.startswith("base:"):
            return f"urn:ietf:params:netconf:{name}" in self.capabilities
        wanted = f"{_CAPABILITY}{name}"
        return any(item.partition("?")[0].startswith(wanted) for item in self.capabilities)


_MODULES = (
    '<get><filter type="subtree"><modules-state xmlns="urn:ietf:params:xml:ns:yang:ietf-yang-library">'
    "<module><name/></module></modules-state></filter></get>"
)


class Run:
    """One case under way."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._sessions: dict[str, Session] = {}
        self._shared = False

    def close(self, *, failed: bool) -> None:
        """End the case's sessions, the shared one only when the case has failed."""
        if self._shared and not failed:
            del self._sessions["first"]
        elif self._shared:
            self._server.close()
        for session in self._sessions.values():
            session.leave()
            session.close()

    def play(self, case: Case) -> str:
        """Return what came otherwise than it was due, nothing when all was right."""
        number = 0
        try:
            self._begin(case)
            for number, step in enumerate(case.steps, 1):  # noqa: B007 - it is told where this stopped
                self._step(step)
        except AssertionError as error:
            return f"step {number}: {error}" if number else str(error)
        except (ClosedError, TimeoutError, OSError) as error:
            return f"step {number}: {error or 'no answer'}"
        return ""

    def _begin(self, case: Case) -> None:
        if case.leaves_no_trace:
            self._shared = True
            self._sessions["first"] = self._server.shared()
        if self._server.has("module:nc-conformance") and (case.given is not None or case.edit is not None):
            self._prepare(case.given or "")
        if case.edit is not None:
            self._edit(case)

    # --- the short form

    def _prepare(self, given: str) -> None:
        session = self._session("first")
        target = self._server.target
        if target == "candidate":
            _good(session.rpc("<discard-changes/>"), "discard-changes")
        remove = f'<top xmlns="{TOP}" nc:operation="remove"/>'
        _good(session.rpc(_edit_config(target, remove)), "emptying top")
        if given:
            _good(session.rpc(_edit_config(target, f'<top xmlns="{TOP}">{given}</top>')), "what is given")
        if target == "candidate":
            _good(session.rpc("<commit/>"), "committing what is given")

    def _edit(self, case: Case) -> None:
        session, target = self._session("first"), self._server.target
        content = case.edit or ""
        if not content.lstrip().startswith("<top"):
            content = f'<top xmlns="{TOP}">{content}</top>'
        reply = session.rpc(_edit_config(target, content, case.options))
        due = case.commit_error if target == "running" and case.error is None else case.error
        if due is None and target == "candidate" and _is_error(reply) and case.commit_error is not None:
            # a server may find at once what the commit would find
            _judge_error(reply, case.commit_error)
            return
        _judge(reply, due)
        if target == "candidate" and case.error is None:
            _judge(session.rpc("<commit/>"), case.commit_error)
            if case.commit_error is not None:
                _good(session.rpc("<discard-changes/>"), "discard-changes")
        elif target == "candidate":
            _good(session.rpc("<discard-changes/>"), "discard-changes")
        if case.holds:
            wanted = f'<filter type="subtree"><top xmlns="{TOP}"/></filter>'
            _hold(session.rpc(f"<get-config><source><running/></source>{wanted}</get-config>"), case.holds)

    # --- the long form

    def _session(self, name: str, version: str = "1.1") -> Session:
        if name not in self._sessions:
            self._sessions[name] = self._server.open(version)
        return self._sessions[name]

    def _step(self, step: Step) -> None:
        if step.hello is not None or (step.raw is not None and step.session not in self._sessions):
            self._sessions[step.session] = self._server.raw(step.version)
        session = self._session(step.session, step.version)
        if step.close:
            session.close()
            del self._sessions[step.session]
            return
        if step.event:
            _hold(session.event(), step.holds)
            return
        if step.eventually:
            self._await(session, step)
            return
        try:
            self._send(session, step)
        except ClosedError:
            if not step.closed:
                raise
        if step.hello is not None:
            return
        if step.closed:
            assert session.closed(), "the session should be over and is not"
            return
        for _ in range(step.replies):
            reply = session.reply()
            _judge(reply, step.error)
            _hold(reply, step.holds)

    def _await(self, session: Session, step: Step) -> None:
        """Ask until the answer is as it should be: what the server does behind the reply takes its time."""
        deadline = time.monotonic() + TIMEOUT
        while True:
            try:
                reply = session.rpc(self._filled(step.rpc or ""))
                _judge(reply, step.error)
                _hold(reply, step.holds)
            except AssertionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def _send(self, session: Session, step: Step) -> None:
        if step.hello is not None:
            session.greet(self._filled(step.hello) or None)
        elif step.raw is not None:
            session.send(
                self._filled(step.raw).encode().decode("unicode_escape").encode("latin-1"), framing="raw"
            )
        elif step.message is not None:
            session.send(self._filled(step.message), chunks=step.chunks)
        elif step.rpc is not None:
            identified = (
                f'<rpc xmlns="{BASE}" xmlns:nc="{BASE}" message-id="s">{self._filled(step.rpc)}</rpc>'
            )
            session.send(identified, chunks=step.chunks)

    def _filled(self, text: str) -> str:
        """Put in the target, the namespaces and the session-ids that only the run knows."""
        text = text.replace("${target}", self._server.target).replace("${top}", f'xmlns="{TOP}"')
        for prefix, namespace in PREFIXES.items():
            text = text.replace(f"${{{prefix}}}", namespace)
        return re.sub(r"\$\{id:(\w+)\}", lambda found: self._id(found[1]), text)

    def _id(self, name: str) -> str:
        hello = self._session(name).hello
        return "" if hello is None else hello.findtext(f"{{{BASE}}}session-id") or ""


def _edit_config(target: str, content: str, options: str = "") -> str:
    return (
        f"<edit-config><target><{target}/></target>{options}"
        f'<config xmlns:nc="{BASE}">{content}</config></edit-config>'
    )


def _is_error(reply: etree._Element) -> bool:
    return any(
        found.findtext(f"{{{BASE}}}error-severity") != "warning"
        for found in reply.iterfind(f"{{{BASE}}}rpc-error")
    )


def _good(reply: etree._Element, what: str) -> None:
    assert not _is_error(reply), f"{what}: {_text(reply)}"


def _judge(reply: etree._Element, error: dict[str, Any] | None) -> None:
    if error is None:
        _good(reply, "no error was due")
    else:
        _judge_error(reply, error)


def _judge_error(reply: etree._Element, due: dict[str, Any]) -> None:
    """Hold every field of `due` against the first rpc-error that has the tag."""
    found = reply.findall(f"{{{BASE}}}rpc-error")
    assert found, f"an rpc-error {due} was due, this came: {_text(reply)}"
    tags = due["tag"] if isinstance(due["tag"], list) else [due["tag"]]
    named = [error for error in found if error.findtext(f"{{{BASE}}}error-tag") in tags]
    assert named, f"error-tag {' or '.join(tags)} was due: {_text(reply)}"
    error = named[0]
    for name in ("type", "severity", "app-tag"):
        if name in due:
            assert error.findtext(f"{{{BASE}}}error-{name}") == due[name], (
                f"{name} {due[name]} was due: {_text(reply)}"
            )
    if "path" in due:
        path = re.sub(r"[\w.-]+:", "", error.findtext(f"{{{BASE}}}error-path") or "").replace('"', "'")
        assert path == due["path"], f"error-path {due['path']} was due: {_text(reply)}"
    for name, text in due.get("info", {}).items():
        texts = [
            (item.text or "").rpartition(":")[2]
            for item in error.iterfind(f"{{{BASE}}}error-info/{{*}}{name}")
        ]
        fits = text in texts if text else bool(texts)
        assert fits, f"error-info {name} {text} was due: {_text(reply)}"


def _hold(reply: etree._Element, expressions: tuple[str, ...]) -> None:
    for expression in expressions:
        assert reply.xpath(expression, namespaces=PREFIXES) is True, (
            f"{expression} does not hold: {_text(reply)}"
        )


def _text(reply: etree._Element) -> str:
    return etree.tostring(reply).decode()[:1500]
