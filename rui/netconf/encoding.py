"""The two framings of NETCONF over SSH (RFC 6242 4.2 and 4.3), as encoders of messages given in pieces."""

from collections.abc import Sequence
from typing import Final, Protocol

from rui.netconf.framing import END_OF_CHUNKS, END_OF_MESSAGE, MAX_CHUNK_SIZE

MAX_CHUNK: Final = 16 * 1024
"""Largest chunk sent, in octets: ncclient re-decodes its buffer from the last chunk's start on every read."""

# it is legal XML in an attribute, a comment or a processing instruction (RFC 6242 3)
_DELIMITER_INSIDE: Final = "a message with ']]>]]>' in it cannot be sent in end-of-message framing"
_EMPTY: Final = "an empty message cannot be sent in chunked framing"


class Encoder(Protocol):
    """Frames one message after the other, each given in pieces."""

    def message(self, pieces: Sequence[bytes]) -> bytes:
        """Frame a whole message. Raises ValueError, and sends nothing, when the framing cannot carry it."""

    def write(self, piece: bytes) -> bytes:
        """Take a piece of the current message; return what can be sent already (often nothing)."""

    def end(self) -> bytes:
        """End the current message; return the rest of it."""


class EndOfMessageEncoder:
    """End-of-message framing, for hellos and for sessions of base:1.0."""

    def __init__(self) -> None:
        self._tail = b""

    def message(self, pieces: Sequence[bytes]) -> bytes:
        """Frame a whole message. Raises ValueError when the delimiter occurs in it."""
        text = b"".join(pieces)
        if END_OF_MESSAGE in text:
            raise ValueError(_DELIMITER_INSIDE)
        return text + END_OF_MESSAGE

    def write(self, piece: bytes) -> bytes:
        """Return `piece` unchanged. Raises ValueError when the delimiter occurs in the message."""
        if END_OF_MESSAGE in piece or END_OF_MESSAGE in self._tail + piece[:5]:
            raise ValueError(_DELIMITER_INSIDE)
        self._tail = (self._tail + piece[-5:])[-5:]
        return piece

    def end(self) -> bytes:
        """Return the delimiter."""
        self._tail = b""
        return END_OF_MESSAGE


class ChunkedEncoder:
    """Chunked framing; chunks of at most `max_chunk` octets, cut between UTF-8 characters.

    Some peers (ncclient) decode each chunk by itself, so a character never spans two.
    """

    def __init__(self, max_chunk: int = MAX_CHUNK) -> None:
        if not 4 <= max_chunk <= MAX_CHUNK_SIZE:
            raise ValueError(f"max_chunk must be 4 to {MAX_CHUNK_SIZE}, not {max_chunk}")
        self._max = max_chunk
        self._held: list[bytes] = []
        self._size = 0

    def message(self, pieces: Sequence[bytes]) -> bytes:
        """Frame a whole message. Raises ValueError when it is empty."""
        data = b"".join(pieces)
        out, start = self._chunks(data)
        rest = len(data) - start
        if not rest:
            raise ValueError(_EMPTY)
        return b"".join((*out, b"\n#%d\n" % rest, memoryview(data)[start:], END_OF_CHUNKS))

    def write(self, piece: bytes) -> bytes:
        """Take a piece; return the full chunks that can be sent already."""
        self._held.append(piece)
        self._size += len(piece)
        if self._size <= self._max:
            return b""
        data = b"".join(self._held)
        out, start = self._chunks(data)
        self._held = [data[start:]]
        self._size = len(data) - start
        return b"".join(out)

    def end(self) -> bytes:
        """Return the last chunk and the end-of-chunks mark. Raises ValueError when the message is empty."""
        if not self._size:
            raise ValueError(_EMPTY)
        out = b"".join((b"\n#%d\n" % self._size, *self._held, END_OF_CHUNKS))
        self._held = []
        self._size = 0
        return out

    def _chunks(self, data: bytes) -> tuple[list[bytes | memoryview], int]:
        """Return the full chunks at the front of `data`, framed, and where the rest begins."""
        view = memoryview(data)
        out: list[bytes | memoryview] = []
        start = 0
        while len(data) - start > self._max:
            end = _character_boundary(data, start + self._max)
            out += (b"\n#%d\n" % (end - start), view[start:end])
            start = end
        return out, start


def _character_boundary(data: bytes, end: int) -> int:
    """Return the last start of a character at or before `end`; `end` itself if the bytes are not UTF-8."""
    for boundary in range(end, end - 4, -1):
        if data[boundary] & 0xC0 != 0x80:
            return boundary
    return end
