"""What is left out of the packets that an SSH library sends."""

from rui.netconf.sshpackets import without_empty_ones


def test_packets_that_say_nothing_are_left_out_and_others_go_as_they_are() -> None:
    sent: list[tuple[object, ...]] = []

    def send_packet(pkttype: int, *args: bytes, handler: object = None) -> None:
        sent.append((pkttype, *args, handler))

    send = without_empty_ones(send_packet)
    send(2, b"\0\0\0\0")
    send(94, b"channel", b"data", handler="log")
    assert sent == [(94, b"channel", b"data", "log")]
