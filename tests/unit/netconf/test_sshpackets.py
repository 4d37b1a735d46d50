"""What is left out of what an SSH library does with each packet."""

import asyncssh

from rui.netconf.sshpackets import untold, without_empty_ones


def test_packets_that_say_nothing_are_left_out_and_others_go_as_they_are() -> None:
    sent: list[tuple[object, ...]] = []

    def send_packet(pkttype: int, *args: bytes, handler: object = None) -> None:
        sent.append((pkttype, *args, handler))

    send = without_empty_ones(send_packet)
    send(2, b"\0\0\0\0")
    send(94, b"channel", b"data", handler="log")
    assert sent == [(94, b"channel", b"data", "log")]


def test_packets_are_not_logged() -> None:
    class Told:
        def log_sent_packet(self, *told: object) -> None:
            raise AssertionError(told)

        log_received_packet = log_sent_packet

    packets_of = Told()
    untold(packets_of)
    packets_of.log_sent_packet(94, 1, b"data")
    packets_of.log_received_packet(94, 1, b"data", "note")
    for kind in (asyncssh.SSHServerConnection, asyncssh.SSHServerChannel):
        assert callable(kind.log_sent_packet)
        assert callable(kind.log_received_packet)
