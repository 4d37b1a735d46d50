"""The seam between a session and what carries its bytes: SSH, or TLS."""

from __future__ import annotations

from typing import Protocol


class Transport(Protocol):
    """What a session needs below it."""

    def write(self, data: bytes) -> None:
        """Send bytes; buffers what does not fit."""

    def pause_reading(self) -> None:
        """Take nothing from the peer until `resume_reading`."""

    def resume_reading(self) -> None:
        """Take bytes again."""

    def close(self) -> None:
        """End after what was written is on its way."""

    def abort(self) -> None:
        """End at once."""


class ByteSession(Protocol):
    """What a subsystem channel feeds; netconf_server.session.Session is one."""

    def start(self) -> None:
        """The channel is open."""

    def receive(self, data: bytes) -> None:
        """Bytes came."""

    def receive_eof(self) -> None:
        """The peer sends nothing more."""

    def lost(self, reason: str) -> None:
        """The channel is gone."""

    def forget(self) -> None:
        """Nothing follows."""

    def pause_writing(self) -> None:
        """The channel's buffer is full."""

    def resume_writing(self) -> None:
        """The channel has room."""


class Carrier:
    """What every transport hands on to its session when the library below it says so."""

    _session: ByteSession | None = None

    def pause_writing(self) -> None:
        """The buffer below is full."""
        if self._session is not None:
            self._session.pause_writing()

    def resume_writing(self) -> None:
        """The buffer below has room."""
        if self._session is not None:
            self._session.resume_writing()
