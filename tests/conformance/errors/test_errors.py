"""The table of errors in cases.txt, each case tried on a server whose model has every statement of YANG."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from lxml import etree

from netconf_server import Account, Accounts, Datastores, LocalSession, NetconfServer, load_schema
from netconf_server.actions import ActionCall
from netconf_server.call import Reply, RpcCall
from rui.netconf import names
from rui.netconf.errors import ALLOWED_TYPES, ErrorTag, RpcError
from rui.netconf.session import ServerSession
from tests.integration.netconf_server_rig import BASE_11_HELLO, HASH

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
AM = "urn:example:any-model"
YANG1 = "urn:ietf:params:xml:ns:yang:1"
PREFIXES = (
    f'xmlns="{names.BASE}" xmlns:nc="{names.BASE}" xmlns:y="{YANG1}" xmlns:am="{AM}"'
    ' xmlns:mo="urn:example:any-more"'
)
PLANT = (
    f'<plant xmlns="{AM}"><owner>o</owner><crew>c</crew><voltage>1</voltage><step>s1</step><step>s2</step>'
    "<machine><name>m</name><slot>1</slot><position>1</position><part><maker>a</maker><number>1</number>"
    "</part></machine></plant>"
)
NACM = (
    '<nacm xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-acm"><write-default>permit</write-default>'
    "<groups><group><name>guests</name><user-name>guest</user-name></group>"
    "<group><name>admins</name><user-name>admin</user-name></group></groups>"
    "<rule-list><name>guests</name><group>guests</group><rule><name>no</name>"
    "<module-name>any-model</module-name>"
    "<access-operations>create update delete exec</access-operations><action>deny</action></rule></rule-list>"
    "<rule-list><name>admins</name><group>admins</group><rule><name>all</name><module-name>*</module-name>"
    "<access-operations>*</access-operations><action>permit</action></rule></rule-list></nacm>"
)
RUNNING = f"<config {PREFIXES}>{PLANT}{NACM}</config>"


@dataclass
class Case:
    """One block of the table."""

    name: str
    fields: dict[str, list[str]] = field(default_factory=dict)

    def one(self, key: str) -> str | None:
        """The only line of a key, None when it has none."""
        lines = self.fields.get(key)
        return lines[0] if lines else None


def read_table() -> tuple[list[Case], dict[str, str]]:
    """The cases, and the tags that are no case with the reason."""
    cases: list[Case] = []
    left_out: dict[str, str] = {}
    for line in (HERE / "cases.txt").read_text().splitlines():
        key, _, rest = line.partition(":")
        if line.startswith("== "):
            cases.append(Case(line[3:]))
        elif key in ("never", "elsewhere"):
            tag, _, reason = rest.strip().partition(" ")
            left_out[tag] = reason
        elif line and not line.startswith("#"):
            cases[-1].fields.setdefault(key, []).append(rest.strip())
    return cases, left_out


CASES, LEFT_OUT = read_table()


class Rig:
    """One server for all cases; each case finds running as it was, and sessions of its own."""

    def __init__(self, folder: Path) -> None:
        schema = load_schema(
            ["any-model", "any-more", "ietf-netconf-acm"],
            [ROOT / "tests" / "data" / "yang" / "any"],
            features={"any-model": ["turbo"]},
        )
        self.datastores = Datastores(schema, etree.fromstring(RUNNING))
        accounts = Accounts([Account("admin", HASH), Account("guest", HASH)])
        self.server = NetconfServer(schema, self.datastores, accounts, host_key_file=folder / "key")
        self.server.register_action("/any-model:plant/machine/reset", _done)
        self.server.register_rpc(f"{{{AM}}}add", _done)
        self.sessions: list[LocalSession] = []

    def open(self, user: str) -> LocalSession:
        session = self.server.local_session(user, "test:1")
        assert session is not None
        self.sessions.append(session)
        return session

    async def reset(self) -> None:
        """End the sessions of a case, and take its changes back."""
        for session in self.sessions:
            session.close("the case is over")
        self.sessions.clear()
        await self.datastores.close()
        with suppress(RpcError):
            await self.datastores.cancel_commit(persist_id="q")
        await self.datastores.replace("running", etree.fromstring(RUNNING))
        await self.datastores.discard()


async def _done(_: ActionCall | RpcCall) -> Reply:
    return None


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    return Rig(tmp_path_factory.mktemp("errors"))


@pytest.fixture
async def rig(shared: Rig) -> AsyncIterator[Rig]:
    yield shared
    await shared.reset()


async def call(session: LocalSession, operation: str) -> None:
    """Carry out an operation, with all the prefixes of the table in scope."""
    wrapped = etree.fromstring(f"<rpc {PREFIXES}>{operation}</rpc>")
    async for _ in session.call(wrapped[0]):
        pass


def operation_of(case: Case) -> str | None:
    """The operation that a case sends, None when it is a whole message."""
    for key, datastore in (("edit", "running"), ("candidate", "candidate")):
        inner = case.one(key)
        if inner is not None:
            plant = f'<plant xmlns="{AM}">{inner}</plant>'
            return f"<edit-config><target><{datastore}/></target><config>{plant}</config></edit-config>"
    return case.one("rpc")


def answer_to(message: str) -> RpcError:
    """What a session answers itself to a message that is no rpc."""
    session = ServerSession(1, (names.CAP_BASE_1_0, names.CAP_BASE_1_1))
    session.start(0.0)
    session.receive_data(BASE_11_HELLO.encode(), 0.0)
    session.data_to_send()
    data = message.replace("{BASE}", names.BASE).encode()
    session.receive_data(b"\n#%d\n%s\n##\n" % (len(data), data), 0.0)
    sent = re.sub(rb"\n#\d+\n|\n##\n", b"", session.data_to_send())
    error = etree.fromstring(sent).find(names.RPC_ERROR)
    assert error is not None
    return RpcError.from_xml(error)


def told(error: RpcError) -> list[str]:
    """An rpc-error as the table writes it, after it went over the wire."""
    received = RpcError.from_xml(etree.fromstring(etree.tostring(error.to_xml())))
    fields = [f"tag={received.tag}", f"type={received.error_type}"]
    fields += [f"app-tag={received.app_tag}"] if received.app_tag else []
    fields += [f"path={received.path}"] if received.path else []
    return fields + [f"{etree.QName(item).localname}={item.text}" for item in received.info]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_answer_is_exact(rig: Rig, case: Case) -> None:
    session = rig.open(case.one("as") or "admin")
    other = rig.open("admin")
    for operation in case.fields.get("other", ()):
        await call(other, operation)
    for operation in case.fields.get("mine", ()):
        await call(session, operation)
    running = rig.datastores.running
    sent = operation_of(case)
    if sent is None:
        error = answer_to(case.one("message") or "")
    else:
        with pytest.raises(RpcError) as refused:
            await call(session, sent)
        error = refused.value
    numbers = {"{OTHER}": other.info.id, "{MINE}": session.info.id}
    expected = case.one("error") or ""
    for name, number in numbers.items():
        expected = expected.replace(name, str(number))
    assert told(error) == expected.split()
    assert (case.one("says") or "") in (error.message or "")
    assert error.error_type in ALLOWED_TYPES[ErrorTag(error.tag)]
    _check_prefixes(error.path, error.path_namespaces)
    assert rig.datastores.running is running


def _check_prefixes(path: str | None, namespaces: Mapping[str, str]) -> None:
    """Every prefix of a path is declared where it stands."""
    bare = re.sub(r"'[^']*'|\"[^\"]*\"", "", path or "")
    assert {match[1] for match in re.finditer(r"([\w.-]+):[\w.-]+", bare)} <= set(namespaces)


def test_every_tag_is_in_the_table() -> None:
    tried = {match[1] for case in CASES if (match := re.match(r"tag=(\S+)", case.one("error") or ""))}
    assert tried | set(LEFT_OUT) == {str(tag) for tag in ErrorTag}
    assert not tried & set(LEFT_OUT)


def test_every_section_of_the_appendix_is_in_the_table() -> None:
    cited = " ".join(case.name for case in CASES)
    assert [n for n in range(1, 8) if f"RFC 7950 15.{n})" not in cited and f"15.{n}, " not in cited] == []
    assert all(re.search(r"\(RFC \d+", case.name) for case in CASES)


def test_what_is_tried_elsewhere_is() -> None:
    assert "resource-denied" in (ROOT / LEFT_OUT["resource-denied"]).read_text()
