"""Keys found by MAC address, whatever else comes and goes."""

from hypothesis import given
from hypothesis import strategies as st

from rui.backup.macs import Macs

MACS = tuple(b"02:00:00:00:%02x:%02x" % divmod(number, 256) for number in range(0, 60_000, 997))
KEYS = st.builds(lambda mac, outer: mac + b"/%d/0" % outer, st.sampled_from(MACS), st.integers(0, 3))


@given(st.lists(KEYS, max_size=200))
def test_what_is_held_of_a_mac_address_is_found(moves: list[bytes]) -> None:
    macs, held = Macs(), set[bytes]()
    for key in moves:
        if key in held:
            macs.remove(key)
            held.discard(key)
        else:
            macs.add(key)
            held.add(key)
    for mac in MACS:
        assert macs.keys(mac) == sorted(key for key in held if key.startswith(mac + b"/"))


def test_a_part_of_a_mac_address_finds_nothing() -> None:
    macs = Macs()
    macs.add(b"02:00:00:00:00:01/100/7")
    assert macs.keys(b"02:00:00:00:00:0") == []
