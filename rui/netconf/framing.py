"""The two framings of NETCONF over SSH (RFC 6242 4.2 and 4.3), as incremental decoders and encoders.

Decoders are pulled: `feed` takes bytes as they arrive, `next_message` returns one whole message or None.
So the session can change the decoder between two messages (after the hellos) and hand over what was not yet
read. The work is linear in the input whatever the reads' sizes; memory is bounded by `max_message` plus what
was fed and not pulled.
"""

import re
from collections.abc import Sequence
from typing import Final, Protocol

DEFAULT_MAX_MESSAGE: Final = 64 * 1024 * 1024
"""Largest message accepted unless the session's limits say otherwise, in octets."""

MAX_CHUNK: Final = 16 * 1024
"""Largest chunk sent, in octets: ncclient re-decodes its buffer from the last chunk's start on every read."""

_MAX_CHUNK_SIZE: Final = 4_294_967_295
_END_OF_MESSAGE: Final = b"]]>]]>"
_END_OF_CHUNKS: Final = b"\n##\n"
_HEADER = re.compile(rb"\n#(?:([1-9][0-9]{0,9})\n|#\n)")
_HEADER_START = re.compile(rb"(?:\n(?:#(?:#|[1-9][0-9]{0,9})?)?)?")
_LONGEST_HEADER: Final = 13
# it is legal XML in an attribute, a comment or a processing instruction (RFC 6242 3)
_DELIMITER_INSIDE: Final = "a message with ']]>]]>' in it cannot be sent in end-of-message framing"


class FramingError(Exception):
    """The peer's bytes break the framing; the session must end (RFC 6242 4.2).

    `offset` counts octets from the first octet of the session; `what` names the fault.
    """

    def __init__(self, what: str, offset: int) -> None:
        super().__init__(f"{what} (at octet {offset} of the session)")
        self.what = what
        self.offset = offset


class Decoder(Protocol):
    """What both framings offer to the session."""

    def feed(self, data: bytes) -> None:
        """Take octets as they came from the transport."""

    def next_message(self) -> bytes | None:
        """Return the next whole message, or None while incomplete. Raises FramingError, and goes on to."""

    def take_rest(self) -> bytes:
        """Take away what was fed and not yet read as a message."""

    @property
    def offset(self) -> int:
        """The octet of the session at which the next unread message starts."""


class Encoder(Protocol):
    """Frames one message after the other, each given in pieces."""

    def message(self, pieces: Sequence[bytes]) -> bytes:
        """Frame a whole message. Raises ValueError, and sends nothing, when the framing cannot carry it."""

    def write(self, piece: bytes) -> bytes:
        """Take a piece of the current message; return what can be sent already (often nothing)."""

    def end(self) -> bytes:
        """End the current message; return the rest of it."""


class EndOfMessageDecoder:
    """End-of-message framing (RFC 6242 4.3): messages end with `]]>]]>`. `offset` as for ChunkedDecoder."""

    def __init__(self, max_message: int = DEFAULT_MAX_MESSAGE, offset: int = 0) -> None:
        self._max = max_message
        self._buffer = bytearray()
        self._scanned = 0
        self._offset = offset
        self._failed: FramingError | None = None

    @property
    def offset(self) -> int:
        """The octet of the session at which the next unread message starts."""
        return self._offset

    def feed(self, data: bytes) -> None:
        """Take octets as they came from the transport."""
        self._buffer += data

    def next_message(self) -> bytes | None:
        """Return the next whole message, or None while it is incomplete. Raises FramingError."""
        if self._failed is not None:
            raise self._failed
        end = self._buffer.find(_END_OF_MESSAGE, self._scanned)
        size = len(self._buffer) - (len(_END_OF_MESSAGE) - 1) if end < 0 else end
        if size > self._max:
            self._failed = FramingError(f"message larger than {self._max} octets", self._offset + self._max)
            raise self._failed
        if end < 0:
            self._scanned = max(0, size)
            return None
        message = bytes(memoryview(self._buffer)[:end])
        consumed = end + len(_END_OF_MESSAGE)
        del self._buffer[:consumed]
        self._offset += consumed
        self._scanned = 0
        return message

    def take_rest(self) -> bytes:
        """Take away what was fed and not yet read as a message."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return rest


class ChunkedDecoder:
    """Chunked framing (RFC 6242 4.2), strict: a wrong octet is reported where it stands.

    `offset` is the octet of the session at which this framing starts.
    """

    def __init__(self, max_message: int = DEFAULT_MAX_MESSAGE, offset: int = 0) -> None:
        self._max = max_message
        self._buffer = bytearray()
        self._position = 0
        self._dropped = offset
        self._message = bytearray()
        self._remaining = 0
        self._failed: FramingError | None = None

    @property
    def offset(self) -> int:
        """The octet of the session up to which everything was read."""
        return self._dropped + self._position

    def feed(self, data: bytes) -> None:
        """Take octets as they came from the transport."""
        if self._position:
            # deleting from the front of a bytearray moves a pointer, not the octets
            del self._buffer[: self._position]
            self._dropped += self._position
            self._position = 0
        self._buffer += data

    def next_message(self) -> bytes | None:
        """Return the next whole message, or None while it is incomplete. Raises FramingError."""
        if self._failed is not None:
            raise self._failed
        while True:
            if self._remaining and not self._take_chunk_data():
                return None
            header = _HEADER.match(self._buffer, self._position)
            if header is None:
                self._check_header_start()
                return None
            digits = header.group(1)
            if digits is None:
                return self._end_message(header.end())
            whole = self._start_chunk(int(digits), header.end())
            if whole is not None:
                return whole

    def take_rest(self) -> bytes:
        """Take away what was fed and not yet read as a message."""
        rest = bytes(memoryview(self._buffer)[self._position :])
        self._buffer.clear()
        self._dropped += self._position
        self._position = 0
        return rest

    def _start_chunk(self, size: int, start: int) -> bytes | None:
        """Enter a chunk; return the message when this chunk is all of it and lies whole in the buffer."""
        if size > _MAX_CHUNK_SIZE:
            raise self._fail(f"chunk-size {size} is above {_MAX_CHUNK_SIZE}", self._position + 2)
        if len(self._message) + size > self._max:
            raise self._fail(f"message larger than {self._max} octets", self._position + 2)
        end = start + size
        if not self._message and self._buffer.startswith(_END_OF_CHUNKS, end):
            self._position = end + len(_END_OF_CHUNKS)
            return bytes(memoryview(self._buffer)[start:end])
        self._position = start
        self._remaining = size
        return None

    def _take_chunk_data(self) -> bool:
        """Move chunk data that is there to the message; say whether the chunk is complete."""
        end = min(self._position + self._remaining, len(self._buffer))
        self._message += memoryview(self._buffer)[self._position : end]
        self._remaining -= end - self._position
        self._position = end
        return not self._remaining

    def _end_message(self, end: int) -> bytes:
        if not self._message:
            raise self._fail("end-of-chunks without a chunk before it", self._position)
        self._position = end
        message = bytes(self._message)
        self._message = bytearray()
        return message

    def _check_header_start(self) -> None:
        """Raise unless the octets at hand may still become a chunk header."""
        start = bytes(memoryview(self._buffer)[self._position : self._position + _LONGEST_HEADER])
        matched = _HEADER_START.match(start)
        good = matched.end() if matched is not None else 0
        if good < len(start):
            raise self._fail(_wrong_octet(start, good), self._position + good)

    def _fail(self, what: str, position: int) -> FramingError:
        self._failed = FramingError(what, self._dropped + position)
        return self._failed


def _wrong_octet(start: bytes, good: int) -> str:
    """Describe why `start` is no chunk header: its octet `good` is the first wrong one."""
    found = f"0x{start[good]:02x}"
    if good == 0:
        return f"chunk header: line feed expected, {found} found"
    if good == 1:
        return f"chunk header: '#' expected, {found} found"
    if good == 2:
        if start[good] == ord("0"):
            return "chunk-size: leading zero"
        return f"chunk-size: digit 1 to 9 or '#' expected, {found} found"
    if start[2] == ord("#"):
        return f"end-of-chunks: line feed expected, {found} found"
    if start[good] in b"0123456789":
        return f"chunk-size is above {_MAX_CHUNK_SIZE}"
    return f"chunk-size: digit or line feed expected, {found} found"


class EndOfMessageEncoder:
    """End-of-message framing, for hellos and for sessions of base:1.0."""

    def __init__(self) -> None:
        self._tail = b""

    def message(self, pieces: Sequence[bytes]) -> bytes:
        """Frame a whole message. Raises ValueError when the delimiter occurs in it."""
        text = b"".join(pieces)
        if _END_OF_MESSAGE in text:
            raise ValueError(_DELIMITER_INSIDE)
        return text + _END_OF_MESSAGE

    def write(self, piece: bytes) -> bytes:
        """Return `piece` unchanged. Raises ValueError when the delimiter occurs in the message."""
        if _END_OF_MESSAGE in piece or _END_OF_MESSAGE in self._tail + piece[:5]:
            raise ValueError(_DELIMITER_INSIDE)
        self._tail = (self._tail + piece[-5:])[-5:]
        return piece

    def end(self) -> bytes:
        """Return the delimiter."""
        self._tail = b""
        return _END_OF_MESSAGE


class ChunkedEncoder:
    """Chunked framing; chunks of at most `max_chunk` octets, cut between UTF-8 characters.

    Some peers (ncclient) decode each chunk by itself, so a character never spans two.
    """

    def __init__(self, max_chunk: int = MAX_CHUNK) -> None:
        if not 4 <= max_chunk <= _MAX_CHUNK_SIZE:
            raise ValueError(f"max_chunk must be 4 to {_MAX_CHUNK_SIZE}, not {max_chunk}")
        self._max = max_chunk
        self._held: list[bytes] = []
        self._size = 0

    def message(self, pieces: Sequence[bytes]) -> bytes:
        """Frame a whole message. Raises ValueError when it is empty."""
        return self.write(b"".join(pieces)) + self.end()

    def write(self, piece: bytes) -> bytes:
        """Take a piece; return the full chunks that can be sent already."""
        self._held.append(piece)
        self._size += len(piece)
        if self._size <= self._max:
            return b""
        data = b"".join(self._held)
        out: list[bytes] = []
        start = 0
        while len(data) - start > self._max:
            end = _character_boundary(data, start + self._max)
            out.append(b"\n#%d\n" % (end - start))
            out.append(data[start:end])
            start = end
        self._held = [data[start:]]
        self._size = len(data) - start
        return b"".join(out)

    def end(self) -> bytes:
        """Return the last chunk and the end-of-chunks mark. Raises ValueError when the message is empty."""
        if not self._size:
            raise ValueError("an empty message cannot be sent in chunked framing")
        out = b"".join((b"\n#%d\n" % self._size, *self._held, _END_OF_CHUNKS))
        self._held = []
        self._size = 0
        return out


def _character_boundary(data: bytes, end: int) -> int:
    """Return the last start of a character at or before `end`; `end` itself if the bytes are not UTF-8."""
    for boundary in range(end, end - 4, -1):
        if data[boundary] & 0xC0 != 0x80:
            return boundary
    return end
