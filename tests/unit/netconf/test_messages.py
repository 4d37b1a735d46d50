import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from rui.netconf import messages, names
from rui.netconf.messages import MessageError, MessageParser


def parse(raw: bytes) -> etree._Element:
    return MessageParser().parse(raw)


class TestTheParser:
    @pytest.mark.parametrize(
        "raw",
        [
            b"<a/>",
            b'<?xml version="1.0" encoding="UTF-8"?><a/>',
            b'\n<?xml version="1.0"?>\n<a/>\n',
            b"\xef\xbb\xbf<a/>",
            b'<?xml version="1.0" encoding="ISO-8859-1"?><a>plain</a>',
        ],
    )
    def test_takes_what_peers_send(self, raw: bytes) -> None:
        assert parse(raw).tag == "a"

    @pytest.mark.parametrize(
        ("raw", "reason"),
        [
            (b"", "well-formed"),
            (b"   ", "well-formed"),
            (b"<a>", "line 1"),
            (b"<a></b>", "line 1"),
            (b"<a/><b/>", "line 1"),
            (b"<a>&lol;</a>", "Entity 'lol' not defined"),
            (b"<a>\xff</a>", "UTF-8"),
            (b"<a>\xc3</a>", "UTF-8"),
            (b"<a>\x00</a>", "well-formed"),
            ("<a/>".encode("utf-16"), "well-formed"),
            (b'<?xml version="1.0" encoding="ISO-8859-1"?><a>\xe9</a>', "UTF-8"),
            (b'<a x:y="1"/>', "prefix x for y on a is not defined"),
            (b'<a xmlns="urn:a" x:y="1"><b xmlns="relative"/></a>', "prefix x for y on a is not defined"),
            (b'<a><x:b xmlns="relative"/></a>', "prefix x on b is not defined"),
            (b"<!DOCTYPE a><a/>", "document type declaration"),
            (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type declaration"),
            (b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>', "document type declaration"),
            (b"<p:a/>", "Namespace prefix p"),
            (b'<a b="1" b="2"/>', "redefined"),
        ],
    )
    def test_refuses_the_rest_with_the_place(self, raw: bytes, reason: str) -> None:
        with pytest.raises(MessageError, match=reason):
            parse(raw)

    def test_reads_no_file_for_an_entity(self) -> None:
        with pytest.raises(MessageError):
            parse(b'<!DOCTYPE a [<!ENTITY e SYSTEM "file:///etc/passwd">]><a>&e;</a>')

    def test_expands_no_entities_to_a_bomb(self) -> None:
        levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 20))
        with pytest.raises(MessageError):
            parse(f'<!DOCTYPE a [<!ENTITY e0 "lol">{levels}]><a>&e19;</a>'.encode())

    def test_refuses_nesting_without_end(self) -> None:
        with pytest.raises(MessageError, match="nest deeper than 256"):
            parse(b"<a>" * 3000 + b"</a>" * 3000)

    def test_takes_a_large_message_with_a_large_text(self) -> None:
        assert len(parse(b"<a>" + b"x" * 30_000_000 + b"</a>").text or "") == 30_000_000

    def test_refuses_nesting_without_end_in_a_large_message(self) -> None:
        with pytest.raises(MessageError, match="nest deeper than 256"):
            parse(b"<a>" * 3_000_000)

    def test_bounds_nesting_alike_in_a_large_message(self) -> None:
        text = b"x" * 9_000_000
        assert parse(b"<a>" * 256 + text + b"</a>" * 256).tag == "a"
        with pytest.raises(MessageError, match="deeper than 256"):
            parse(b"<a>" * 257 + text + b"</a>" * 257)

    def test_leaves_out_comments_and_instructions(self) -> None:
        root = parse(b"<a><!-- c --><?p i?><b/></a>")
        assert [child.tag for child in root] == ["b"]

    def test_serves_again_after_an_error(self) -> None:
        parser = MessageParser()
        with pytest.raises(MessageError):
            parser.parse(b"<a>")
        assert parser.parse(b"<b/>").tag == "b"

    @given(st.binary(max_size=100))
    def test_raises_nothing_else_whatever_comes(self, raw: bytes) -> None:
        with contextlib.suppress(MessageError):
            parse(raw)


class TestHello:
    def test_is_read_as_it_was_built(self) -> None:
        raw = messages.build_hello([names.CAP_BASE_1_0, "urn:x?module=a&revision=b"], 4_294_967_295)
        hello = messages.read_hello(parse(raw))
        assert hello.capabilities == (names.CAP_BASE_1_0, "urn:x?module=a&revision=b")
        assert hello.session_id == 4_294_967_295

    def test_of_a_client_has_no_session_id(self) -> None:
        raw = messages.build_hello([names.CAP_BASE_1_0], None)
        assert b"session-id" not in raw
        assert messages.read_hello(parse(raw)).session_id is None

    @pytest.mark.parametrize(
        "text", ["0", "-1", "4294967296", "99999999999999999999", "x", "", "1.0", "\u0663"]
    )
    def test_with_a_session_id_out_of_range_is_refused(self, text: str) -> None:
        raw = f'<hello xmlns="{names.BASE}"><capabilities/><session-id>{text}</session-id></hello>'
        with pytest.raises(MessageError, match="session-id"):
            messages.read_hello(parse(raw.encode()))

    @pytest.mark.parametrize("raw", [b"<hello/>", f'<rpc xmlns="{names.BASE}"/>'.encode()])
    def test_is_nothing_else(self, raw: bytes) -> None:
        with pytest.raises(MessageError, match="hello was due"):
            messages.read_hello(parse(raw))


class TestReplyEnvelope:
    def reply(self, rpc: bytes) -> etree._Element:
        envelope = messages.reply_envelope(parse(rpc))
        return parse(envelope.start + b"<ok/>" + envelope.end)

    def test_returns_every_attribute_once_with_its_namespace_and_prefix(self) -> None:
        rpc = (
            f'<rpc xmlns="{names.BASE}" xmlns:a="urn:a" xmlns:b="urn:a" xmlns:unused="urn:u"'
            ' message-id="&lt;&quot;1" a:x="1" user="f&#10;red" xml:lang="en"/>'
        ).encode()
        reply = self.reply(rpc)
        assert sorted(reply.attrib.items()) == sorted(parse(rpc).attrib.items())
        assert reply.tag == names.RPC_REPLY
        assert reply[0].tag == names.OK
        assert "unused" not in reply.nsmap
        assert reply.nsmap["a"] == "urn:a"

    def test_speaks_the_default_namespace_even_if_the_rpc_used_a_prefix(self) -> None:
        reply = self.reply(
            f'<nc:rpc xmlns:nc="{names.BASE}" nc:x="1" xmlns="urn:other" message-id="1"/>'.encode()
        )
        assert reply[0].tag == names.OK
        assert reply.get(f"{{{names.BASE}}}x") == "1"

    def test_of_an_unreadable_rpc_has_no_attribute(self) -> None:
        envelope = messages.reply_envelope(None)
        assert not parse(envelope.start + envelope.end).attrib

    def test_has_no_xml_declaration(self) -> None:
        assert messages.reply_envelope(None).start.startswith(b"<rpc-reply ")


class TestNotification:
    def test_is_read_as_it_was_built(self) -> None:
        envelope = messages.notification_envelope("2026-11-23T00:00:00Z")
        raw = envelope.start + b'<event xmlns="urn:e"/>' + envelope.end
        event = messages.read_notification(parse(raw), raw)
        assert (event.event_time, event.content.tag, event.raw) == (
            "2026-11-23T00:00:00Z",
            "{urn:e}event",
            raw,
        )

    def test_a_time_cannot_break_out(self) -> None:
        envelope = messages.notification_envelope("<&>")
        raw = envelope.start + b'<event xmlns="urn:e"/>' + envelope.end
        assert messages.read_notification(parse(raw), raw).event_time == "<&>"

    @pytest.mark.parametrize(
        "content",
        [
            "",
            "<eventTime>t</eventTime>",
            "<a/>",
            "<eventTime>t</eventTime><a/><b/>",
            "<eventTime/><eventTime/><a/>",
        ],
    )
    def test_holds_a_time_and_one_element(self, content: str) -> None:
        raw = f'<notification xmlns="{names.NOTIFICATION}">{content}</notification>'.encode()
        with pytest.raises(MessageError, match="eventTime"):
            messages.read_notification(parse(raw), raw)


class TestBodies:
    def test_bytes_stay_as_they_are(self) -> None:
        assert messages.to_pieces([b"<a", b"/>"]) == [b"<a", b"/>"]
        assert messages.to_pieces(b"<a/>") == [b"<a/>"]

    def test_elements_keep_their_namespace_and_lose_their_tail(self) -> None:
        root = parse(b'<r xmlns="urn:r" xmlns:p="urn:p"><p:a>1</p:a>tail</r>')
        assert parse(messages.to_pieces([root[0]])[0]).tag == "{urn:p}a"
        assert messages.to_pieces(root[0])[0].endswith(b"</p:a>")

    def test_an_element_without_namespace_is_refused(self) -> None:
        with pytest.raises(ValueError, match="no namespace"):
            messages.to_pieces(etree.Element("a"))
