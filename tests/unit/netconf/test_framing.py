from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rui.netconf.encoding import ChunkedEncoder, EndOfMessageEncoder
from rui.netconf.framing import ChunkedDecoder, Decoder, EndOfMessageDecoder, FramingError


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in pairwise(edges)]


def decode(decoder: Decoder, parts: list[bytes]) -> list[bytes]:
    found = []
    for part in parts:
        decoder.feed(part)
        while (message := decoder.next_message()) is not None:
            found.append(message)
    return found


def failure(decoder: Decoder, parts: list[bytes]) -> FramingError | None:
    try:
        decode(decoder, parts or [b""])
    except FramingError as error:
        return error
    return None


texts = st.lists(st.text(min_size=1).filter(lambda text: "]]>]]>" not in text).map(str.encode), min_size=1)
places = st.lists(st.integers(0, 10_000), max_size=40)


class TestAnySplitGivesTheSameMessages:
    @given(texts, places, st.integers(4, 40))
    def test_chunked(self, messages: list[bytes], where: list[int], chunk: int) -> None:
        encoder = ChunkedEncoder(chunk)
        wire = b"".join(encoder.message([message]) for message in messages)
        assert decode(ChunkedDecoder(), cut(wire, where)) == messages

    @given(texts, places)
    def test_end_of_message(self, messages: list[bytes], where: list[int]) -> None:
        wire = b"".join(message + b"]]>]]>" for message in messages)
        expected = wire.split(b"]]>]]>")[:-1]
        assert decode(EndOfMessageDecoder(), cut(wire, where)) == expected

    @given(texts, places)
    def test_all_fed_before_the_first_message_is_pulled(
        self, messages: list[bytes], where: list[int]
    ) -> None:
        encoder = ChunkedEncoder()
        decoder = ChunkedDecoder()
        for part in cut(b"".join(encoder.message([message]) for message in messages), where):
            decoder.feed(part)
        assert decode(decoder, [b""]) == messages

    def test_one_octet_at_a_time(self) -> None:
        wire = b"\n#4\n<a/>\n##\n\n#1\n<\n#3\nb/>\n##\n"
        assert decode(ChunkedDecoder(), [wire[i : i + 1] for i in range(len(wire))]) == [b"<a/>", b"<b/>"]

    def test_many_tiny_chunks_make_one_large_message(self) -> None:
        text = b"0123456789" * 20_000
        wire = b"".join(b"\n#1\n" + text[i : i + 1] for i in range(len(text))) + b"\n##\n"
        assert decode(ChunkedDecoder(), cut(wire, list(range(0, len(wire), 1000)))) == [text]


class TestAnyGarbageIsACleanError:
    @given(st.binary(max_size=200), places)
    def test_chunked(self, garbage: bytes, where: list[int]) -> None:
        decoder = ChunkedDecoder()
        error = failure(decoder, cut(garbage, where))
        assert error is None or 0 <= error.offset <= len(garbage)
        assert (error is None) == (failure(decoder, []) is None)

    @given(
        st.lists(
            st.sampled_from([b"\n", b"#", b"0", b"1", b"9", b"4294967295", b"<a/>", b"\n##\n"]), max_size=20
        ),
        places,
    )
    def test_chunked_of_its_own_alphabet_fails_at_one_place_however_cut(
        self, pieces: list[bytes], where: list[int]
    ) -> None:
        garbage = b"".join(pieces)
        assert self.outcome(cut(garbage, where)) == self.outcome([garbage])

    def outcome(self, parts: list[bytes]) -> tuple[list[bytes], str]:
        decoder = ChunkedDecoder()
        found: list[bytes] = []
        try:
            for part in parts:
                decoder.feed(part)
                while (message := decoder.next_message()) is not None:
                    found.append(message)
        except FramingError as error:
            return found, str(error)
        return found, ""

    @given(st.binary(max_size=200), places)
    def test_end_of_message(self, garbage: bytes, where: list[int]) -> None:
        found = decode(EndOfMessageDecoder(), cut(garbage, where))
        assert len(found) == garbage.count(b"]]>]]>")


@pytest.mark.parametrize(
    ("wire", "offset", "what"),
    [
        (b"<rpc/>", 0, "line feed expected, 0x3c found"),
        (b"\n<", 1, "'#' expected, 0x3c found"),
        (b"\n#0\n", 2, "leading zero"),
        (b"\n#04\n<a/>", 2, "leading zero"),
        (b"\n#x", 2, "digit 1 to 9 or '#' expected, 0x78 found"),
        (b"\n#-1\n", 2, "digit 1 to 9"),
        (b"\n#4 \n", 3, "digit or line feed expected, 0x20 found"),
        (b"\n#4\r\n", 3, "digit or line feed expected, 0x0d found"),
        (b"\n#4294967296\n", 2, "chunk-size 4294967296 is above 4294967295"),
        (b"\n#42949672950\n", 12, "above 4294967295"),
        (b"\n##\n", 0, "end-of-chunks without a chunk"),
        (b"\n#4\n<a/>\n##x", 11, "line feed expected, 0x78 found"),
        (b"\n#4\n<a/>x", 8, "line feed expected, 0x78 found"),
        (b"\n#3\n<a/>\n##\n", 7, "line feed expected, 0x3e found"),
    ],
)
def test_a_wrong_octet_is_named_with_its_place(wire: bytes, offset: int, what: str) -> None:
    for base in (0, 1000):
        with pytest.raises(FramingError, match="octet") as raised:
            decode(ChunkedDecoder(offset=base), [wire])
        assert raised.value.offset == base + offset
        assert what in raised.value.what


class TestBounds:
    def test_a_chunk_too_large_is_refused_before_its_data_comes(self) -> None:
        decoder = ChunkedDecoder(max_message=10)
        decoder.feed(b"\n#11\n")
        with pytest.raises(FramingError, match="larger than 10 octets"):
            decoder.next_message()

    def test_chunks_too_large_together_are_refused(self) -> None:
        with pytest.raises(FramingError, match="larger than 10 octets") as raised:
            decode(ChunkedDecoder(max_message=10), [b"\n#6\n123456\n#5\n"])
        assert raised.value.offset == 12

    def test_a_message_of_just_the_bound_passes(self) -> None:
        assert decode(ChunkedDecoder(max_message=10), [b"\n#6\n123456\n#4\n7890\n##\n"]) == [b"1234567890"]
        assert decode(EndOfMessageDecoder(max_message=10), [b"1234567890]]>]]>"]) == [b"1234567890"]

    @pytest.mark.parametrize("wire", [b"12345678901]]>]]>", b"x" * 16])
    def test_end_of_message_without_an_end_in_reach_is_refused(self, wire: bytes) -> None:
        with pytest.raises(FramingError, match="larger than 10 octets"):
            decode(EndOfMessageDecoder(max_message=10), [wire])

    def test_a_delimiter_in_pieces_does_not_count_as_message(self) -> None:
        assert decode(EndOfMessageDecoder(max_message=10), [b"1234567890", b"]]>]]", b">"]) == [b"1234567890"]


class TestOffsetAndRest:
    def test_the_rest_after_the_hello_goes_to_the_next_framing(self) -> None:
        first = EndOfMessageDecoder()
        first.feed(b"<hello/>]]>]]>\n#4\n<a/>\n##\n")
        assert first.next_message() == b"<hello/>"
        second = ChunkedDecoder(offset=first.offset)
        second.feed(first.take_rest())
        assert second.next_message() == b"<a/>"
        assert second.offset == 26

    def test_the_rest_of_chunked_is_what_was_not_read(self) -> None:
        decoder = ChunkedDecoder()
        decoder.feed(b"\n#4\n<a/>\n##\n\n#")
        assert decoder.next_message() == b"<a/>"
        assert decoder.take_rest() == b"\n#"
        assert decoder.take_rest() == b""


class TestEncoders:
    @given(st.text(min_size=1), st.integers(4, 9), places)
    def test_no_chunk_is_too_large_or_cuts_a_character(self, text: str, chunk: int, where: list[int]) -> None:
        encoder = ChunkedEncoder(chunk)
        wire = b"".join(map(encoder.write, cut(text.encode(), where))) + encoder.end()
        position, chunks = 0, []
        while wire[position : position + 3] != b"\n##":
            header = wire.index(b"\n", position + 2)
            size = int(wire[position + 2 : header])
            assert size <= chunk
            chunks.append(wire[header + 1 : header + 1 + size].decode())
            position = header + 1 + size
        assert "".join(chunks) == text

    def test_a_large_message_goes_out_in_chunks_of_16_kib(self) -> None:
        wire = ChunkedEncoder().message([b"x" * 40_000])
        assert wire.startswith(b"\n#16384\n")
        assert wire.count(b"\n#") == 4

    def test_small_pieces_are_put_together(self) -> None:
        encoder = ChunkedEncoder()
        assert b"".join(encoder.write(b"x" * 400) for _ in range(40)) == b""
        assert encoder.end().count(b"\n#") == 2

    def test_what_is_not_utf_8_is_cut_where_it_must(self) -> None:
        assert ChunkedEncoder(4).message([b"\x80" * 6]) == b"\n#4\n" + b"\x80" * 4 + b"\n#2\n\x80\x80\n##\n"

    def test_an_empty_message_is_refused(self) -> None:
        with pytest.raises(ValueError, match="empty"):
            ChunkedEncoder().message([b""])

    @pytest.mark.parametrize("size", [3, 4_294_967_296])
    def test_a_chunk_size_out_of_range_is_refused(self, size: int) -> None:
        with pytest.raises(ValueError, match="max_chunk"):
            ChunkedEncoder(size)

    @given(st.lists(st.integers(0, 8), max_size=4))
    def test_a_delimiter_inside_is_refused_however_cut(self, where: list[int]) -> None:
        encoder = EndOfMessageEncoder()
        with pytest.raises(ValueError, match="end-of-message"):
            b"".join(map(encoder.write, cut(b"<]]>]]>>", where)))

    def test_a_delimiter_inside_a_whole_message_is_refused_and_nothing_stays(self) -> None:
        encoder = EndOfMessageEncoder()
        with pytest.raises(ValueError, match="end-of-message"):
            encoder.message([b'<a b="]]>', b']]>"/>'])
        assert encoder.message([b"<a/>"]) == b"<a/>]]>]]>"

    def test_the_delimiter_may_not_span_two_messages(self) -> None:
        encoder = EndOfMessageEncoder()
        assert encoder.write(b"<a b=']]>'/>]]>"[:-3]) + encoder.end() == b"<a b=']]>'/>]]>]]>"
        assert encoder.write(b"]]>") == b"]]>"
