import pytest
from lxml import etree

from netconf_client.api import DEFAULT_TIMEOUT, Reply
from netconf_client.operations import Operations, as_element, make_reply, operation_name
from rui.netconf import messages, names
from rui.netconf.errors import ErrorTag, RpcError

TOY = "urn:example:toy"


class Recorder(Operations):
    """Keeps the operation that it is asked to send, and answers with a reply made beforehand."""

    def __init__(self, answer: str = "<ok/>") -> None:
        self.sent = ""
        self.timeout = 0.0
        self.answer = f'<rpc-reply xmlns="{names.BASE}" message-id="1">{answer}</rpc-reply>'.encode()

    async def rpc(self, operation: messages.Body, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:  # noqa: ASYNC109
        self.sent = b"".join(messages.to_pieces(operation)).decode()
        self.timeout = timeout
        return make_reply(etree.fromstring(self.answer), self.answer)


@pytest.fixture
def session() -> Recorder:
    return Recorder()


def base(content: str) -> str:
    """The operation of NETCONF's namespace with this content."""
    name = content[1:].replace("/", ">").split(">", maxsplit=1)[0]
    return content.replace(f"<{name}", f'<{name} xmlns="{names.BASE}"', 1)


async def test_get(session: Recorder) -> None:
    await session.get(timeout=7)
    assert session.sent == base("<get/>")
    assert session.timeout == 7


@pytest.mark.parametrize(
    "subtree", [etree.Element(f"{{{TOY}}}a", nsmap={"t": TOY}), f'<t:a xmlns:t="{TOY}"/>'.encode()]
)
async def test_get_with_a_subtree_filter(session: Recorder, subtree: messages.Body) -> None:
    await session.get(subtree)
    assert session.sent == base(f'<get><filter type="subtree"><t:a xmlns:t="{TOY}"/></filter></get>')


async def test_get_config(session: Recorder) -> None:
    await session.get_config("candidate", [b'<a xmlns="urn:', b'a"/>', b'<b xmlns="urn:b"/>'])
    assert session.sent == base(
        '<get-config><source><candidate/></source><filter type="subtree"><a xmlns="urn:a"/><b xmlns="urn:b"/>'
        "</filter></get-config>"
    )


async def test_edit_config(session: Recorder) -> None:
    config = b'<a xmlns="urn:a"/>'
    await session.edit_config(
        config,
        target="running",
        default_operation="none",
        test_option="set",
        error_option="rollback-on-error",
    )
    assert session.sent == base(
        "<edit-config><target><running/></target><default-operation>none</default-operation>"
        "<test-option>set</test-option><error-option>rollback-on-error</error-option>"
        '<config><a xmlns="urn:a"/></config></edit-config>'
    )


async def test_edit_config_by_default_merges_into_the_candidate(session: Recorder) -> None:
    await session.edit_config(b'<a xmlns="urn:a"/>')
    assert session.sent == base(
        '<edit-config><target><candidate/></target><config><a xmlns="urn:a"/></config></edit-config>'
    )


@pytest.mark.parametrize("content", [b"<a/>", etree.Element("a")])
async def test_content_without_namespace_is_refused(session: Recorder, content: messages.Body) -> None:
    with pytest.raises(ValueError, match="no namespace"):
        await session.edit_config(content)


async def test_operations_without_or_with_one_parameter(session: Recorder) -> None:
    for call, expected in (
        (session.commit(), "<commit/>"),
        (session.discard_changes(), "<discard-changes/>"),
        (session.validate("running"), "<validate><source><running/></source></validate>"),
        (session.lock("running"), "<lock><target><running/></target></lock>"),
        (session.unlock("candidate"), "<unlock><target><candidate/></target></unlock>"),
        (session.kill_session(9), "<kill-session><session-id>9</session-id></kill-session>"),
    ):
        await call
        assert session.sent == base(expected)


async def test_get_schema() -> None:
    session = Recorder(f'<data xmlns="{names.MONITORING}">module toy {{ }}</data>')
    assert await session.get_schema("toy", "2026-11-23") == "module toy { }"
    assert session.sent == (
        f'<get-schema xmlns="{names.MONITORING}"><identifier>toy</identifier><version>2026-11-23</version>'
        "<format>yang</format></get-schema>"
    )


async def test_get_schema_without_its_text_is_an_error(session: Recorder) -> None:
    with pytest.raises(RpcError, match="no text of module toy"):
        await session.get_schema("toy")


async def test_create_subscription(session: Recorder) -> None:
    await session.create_subscription()
    assert session.sent == f'<create-subscription xmlns="{names.NOTIFICATION}"/>'
    await session.create_subscription(
        "NETCONF",
        subtree=b'<a xmlns="urn:a"/>',
        start_time="2026-11-23T00:00:00Z",
        stop_time="2026-11-24T00:00:00Z",
    )
    assert session.sent == (
        f'<create-subscription xmlns="{names.NOTIFICATION}"><stream>NETCONF</stream>'
        '<filter type="subtree"><a xmlns="urn:a"/></filter><startTime>2026-11-23T00:00:00Z</startTime>'
        "<stopTime>2026-11-24T00:00:00Z</stopTime></create-subscription>"
    )


class TestReplies:
    async def test_an_error_is_raised_with_the_further_ones(self) -> None:
        error = RpcError.in_use("a")
        error.others = (RpcError.data_missing("b"),)
        content = b"".join(messages.to_pieces(error.to_elements())).decode()
        with pytest.raises(RpcError) as raised:
            await Recorder(content).commit()
        assert [found.tag for found in raised.value.all] == [ErrorTag.IN_USE, ErrorTag.DATA_MISSING]

    async def test_a_warning_is_kept_and_not_raised(self) -> None:
        warning = RpcError(ErrorTag.OPERATION_FAILED, "hm", severity="warning")
        content = b"".join(messages.to_pieces(warning.to_elements())).decode() + "<data/>"
        reply = await Recorder(content).get()
        assert [found.message for found in reply.warnings] == ["hm"]
        assert [child.tag for child in reply.content] == [names.DATA]
        assert reply.data.tag == names.DATA

    async def test_data_that_is_missing_is_an_error(self, session: Recorder) -> None:
        with pytest.raises(RpcError, match="no data element"):
            _ = (await session.get()).data


def test_the_name_of_an_operation_is_found_in_bytes_too() -> None:
    assert operation_name(etree.Element("{urn:a}sync")) == "sync"
    assert operation_name(b'<sync xmlns="urn:a"/>') == "sync"
    assert operation_name([b"<sync>", b"</sync>"]) == "sync"
    assert operation_name(b"<nc:sync/>") == "sync"
    assert operation_name([]) == "nothing"
    assert operation_name(b"") == "nothing"
    assert operation_name(b"< >") == "nothing"


def test_bytes_become_an_element() -> None:
    assert as_element([b'<a xmlns="urn:', b'a"/>']).tag == "{urn:a}a"
    with pytest.raises(messages.MessageError):
        as_element(b"<a>")
