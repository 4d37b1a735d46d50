"""The two framings of NETCONF over SSH (RFC 6242 4.2 and 4.3), as incremental decoders.

Decoders are pulled: `feed` takes bytes as they arrive, `next_message` returns one whole message or None.
So the session can change the decoder between two messages (after the hellos) and hand over what was not yet
read. The work is linear in the input whatever the reads' sizes; memory is bounded by `max_message` plus what
was fed and not pulled.
"""

import re
from typing import Final, Protocol

DEFAULT_MAX_MESSAGE: Final = 64 * 1024 * 1024
"""Largest message accepted unless the session's limits say otherwise, in octets."""

MAX_CHUNK_SIZE: Final = 4_294_967_295
END_OF_MESSAGE: Final = b"]]>]]>"
END_OF_CHUNKS: Final = b"\n##\n"
_HEADER = re.compile(rb"\n#(?:([1-9][0-9]{0,9})\n|#\n)")
_HEADER_START = re.compile(rb"(?:\n(?:#(?:#|[1-9][0-9]{0,9})?)?)?")
_LONGEST_HEADER: Final = 13
_SMALL_PART: Final = 2048
_GATHERED: Final = 65536


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

    def take_part(self) -> bytes:
        """Take away what is there of the message under way; `next_message` then returns what follows of it.

        Call it when `next_message` has returned None. What was taken does not count against the bound.
        """

    def take_rest(self) -> bytes:
        """Take away what was fed and not yet read as a message."""

    bounded: bool
    """Whether messages above the bound are refused; else whoever takes parts looks at their sizes."""

    @property
    def offset(self) -> int:
        """The octet of the session at which the next unread message starts."""


class EndOfMessageDecoder:
    """End-of-message framing (RFC 6242 4.3): messages end with `]]>]]>`. `offset` as for ChunkedDecoder."""

    def __init__(self, max_message: int = DEFAULT_MAX_MESSAGE, offset: int = 0) -> None:
        self._max = max_message
        self.bounded = True
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
        end = self._buffer.find(END_OF_MESSAGE, self._scanned)
        size = len(self._buffer) - (len(END_OF_MESSAGE) - 1) if end < 0 else end
        if self.bounded and size > self._max:
            self._failed = FramingError(f"message larger than {self._max} octets", self._offset + self._max)
            raise self._failed
        if end < 0:
            self._scanned = max(0, size)
            return None
        message = bytes(memoryview(self._buffer)[:end])
        consumed = end + len(END_OF_MESSAGE)
        del self._buffer[:consumed]
        self._offset += consumed
        self._scanned = 0
        return message

    def take_part(self) -> bytes:
        """Take away what is there of the message under way, and surely no part of its end."""
        part = bytes(memoryview(self._buffer)[: self._scanned])
        del self._buffer[: self._scanned]
        self._offset += self._scanned
        self._scanned = 0
        return part

    def take_rest(self) -> bytes:
        """Take away what was fed and not yet read as a message."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        self._scanned = 0
        return rest


class _Parts:
    """Gathers a message: large parts are kept as they are, small ones are put together first.

    Growing one buffer would copy the message several times over; a list alone would let a peer that sends
    single octets fill the memory with objects.
    """

    def __init__(self) -> None:
        self.size = 0
        self._large: list[bytes] = []
        self._small = bytearray()

    def add(self, part: bytes) -> None:
        self.size += len(part)
        if len(part) < _SMALL_PART:
            self._small += part
            if len(self._small) < _GATHERED:
                return
            part = b""
        if self._small:
            self._large.append(bytes(self._small))
            self._small.clear()
        self._large.append(part)

    def take(self) -> bytes:
        """Return the whole message and start the next one."""
        whole = b"".join((*self._large, self._small))
        self.size = 0
        self._large.clear()
        self._small.clear()
        return whole


class ChunkedDecoder:
    """Chunked framing (RFC 6242 4.2), strict: a wrong octet is reported where it stands.

    `offset` is the octet of the session at which this framing starts.
    """

    def __init__(self, max_message: int = DEFAULT_MAX_MESSAGE, offset: int = 0) -> None:
        self._max = max_message
        self._buffer = bytearray()
        self._position = 0
        self._dropped = offset
        self.bounded = True
        self._message = _Parts()
        self._begun = False
        self._remaining = 0
        self._failed: FramingError | None = None

    @property
    def offset(self) -> int:
        """The octet of the session up to which everything was read."""
        return self._dropped + self._position

    def feed(self, data: bytes) -> None:
        """Take octets as they came from the transport."""
        if self._remaining >= len(data) and self._position == len(self._buffer):
            # nothing but chunk data: it needs no way through the buffer
            self._message.add(data)
            self._remaining -= len(data)
            self._dropped += len(data)
            return
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

    def take_part(self) -> bytes:
        """Take away what is there of the message under way."""
        self._begun = self._begun or self._message.size > 0
        return self._message.take()

    def take_rest(self) -> bytes:
        """Take away what was fed and not yet read as a message."""
        rest = bytes(memoryview(self._buffer)[self._position :])
        self._buffer.clear()
        self._dropped += self._position
        self._position = 0
        return rest

    def _start_chunk(self, size: int, start: int) -> bytes | None:
        """Enter a chunk; return the message when this chunk is all of it and lies whole in the buffer."""
        if size > MAX_CHUNK_SIZE:
            raise self._fail(f"chunk-size {size} is above {MAX_CHUNK_SIZE}", self._position + 2)
        if self.bounded and self._message.size + size > self._max:
            raise self._fail(f"message larger than {self._max} octets", self._position + 2)
        end = start + size
        if not self._message.size and self._buffer.startswith(END_OF_CHUNKS, end):
            self._begun = False
            self._position = end + len(END_OF_CHUNKS)
            return bytes(memoryview(self._buffer)[start:end])
        self._position = start
        self._remaining = size
        return None

    def _take_chunk_data(self) -> bool:
        """Move chunk data that is there to the message; say whether the chunk is complete."""
        end = min(self._position + self._remaining, len(self._buffer))
        self._message.add(bytes(memoryview(self._buffer)[self._position : end]))
        self._remaining -= end - self._position
        self._position = end
        return not self._remaining

    def _end_message(self, end: int) -> bytes:
        if not self._message.size and not self._begun:
            raise self._fail("end-of-chunks without a chunk before it", self._position)
        self._begun = False
        self._position = end
        return self._message.take()

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
        return f"chunk-size is above {MAX_CHUNK_SIZE}"
    return f"chunk-size: digit or line feed expected, {found} found"
