"""Users as elements: what the kernel ends up with, whatever comes in whatever order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router.dataplane import DataPlaneConfig, GroupPlane, Subscriber
from router.dataplane.users import KEYS_A_TRANSACTION, Users
from router.dataplane.values import Names
from rui.backup.record import RecordError, UserInfo

POOL = ip_network("10.1.0.0/16")
CONFIG = DataPlaneConfig("bras-a", (GroupPlane("g1", "eth1", (POOL,)), GroupPlane("g2", "eth2", (POOL,))))
NAMES = Names(CONFIG)
ALICE = Subscriber("02:00:00:00:00:0a", "10.1.0.10", "2001:db8::10")
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02")
ADDRESSES = ("10.1.0.1", "10.1.0.2", "")


class Kernel:
    """Holds elements as nftables does: an element is added once and deleted only where it is."""

    def __init__(self) -> None:
        self.sets: dict[str, dict[str, str]] = {}

    def run(self, commands: str) -> None:
        for command in commands.splitlines():
            match = re.fullmatch(r"(add|delete) element inet rui_bras_a (\w+) \{ (.*) \}", command)
            assert match, command
            elements = self.sets.setdefault(match[2], {})
            for item in match[3].split(", "):
                key, _, data = item.partition(" : ")
                if match[1] == "add":
                    assert key not in elements
                    elements[key] = data
                else:
                    del elements[key]

    def catch_up(self, users: Users) -> None:
        while users.behind:
            if commands := users.take():
                self.run(commands)

    def held(self) -> dict[str, dict[str, str]]:
        return {where: elements for where, elements in self.sets.items() if elements}


def test_a_user_may_send_from_its_addresses_and_is_found_by_them() -> None:
    users, kernel = Users(CONFIG, NAMES), Kernel()
    users.put("g2", b"k", ALICE)
    kernel.catch_up(users)
    mark = f"{NAMES.mark('g2'):#x}"
    assert kernel.held() == {
        "from4_2": {"02:00:00:00:00:0a . 10.1.0.10": ""},
        "from6_2": {"02:00:00:00:00:0a . 2001:db8::10": ""},
        "to4": {"10.1.0.10": mark},
        "to6": {"2001:db8::10": mark},
    }
    assert users.delete("g2", b"k") == ALICE
    kernel.catch_up(users)
    assert kernel.held() == {}


def test_what_changes_back_before_it_was_told_is_not_told() -> None:
    users = Users(CONFIG, NAMES)
    users.put("g1", b"k", ALICE)
    users.delete("g1", b"k")
    assert users.take() == ""
    assert users.behind == 0


def test_the_same_again_is_nothing() -> None:
    users, kernel = Users(CONFIG, NAMES), Kernel()
    users.put("g1", b"k", ALICE)
    kernel.catch_up(users)
    users.put("g1", b"k", ALICE)
    assert users.behind == 0
    assert users.delete("g1", b"other") is None


def test_a_user_that_moves_to_another_group_is_found_there() -> None:
    users, kernel = Users(CONFIG, NAMES), Kernel()
    users.put("g1", b"k", ALICE)
    kernel.catch_up(users)
    users.put("g2", b"k", ALICE)
    users.delete("g1", b"k")
    kernel.catch_up(users)
    assert kernel.held()["to4"] == {"10.1.0.10": f"{NAMES.mark('g2'):#x}"}


def test_many_go_in_several_transactions() -> None:
    users, kernel = Users(CONFIG, NAMES), Kernel()
    for number in range(KEYS_A_TRANSACTION):
        users.put("g1", b"%d" % number, Subscriber("02:00:00:00:00:01", str(POOL[number])))
    first = users.take()
    assert first.count(" . ") + first.count(" : ") <= KEYS_A_TRANSACTION
    assert users.behind > 0
    kernel.run(first)
    kernel.catch_up(users)
    assert len(kernel.held()["to4"]) == KEYS_A_TRANSACTION


def test_after_a_loss_all_is_told_again() -> None:
    users, kernel = Users(CONFIG, NAMES), Kernel()
    users.put("g1", b"k", ALICE)
    kernel.catch_up(users)
    users.put("g1", b"l", Subscriber("02:00:00:00:00:0b", "10.1.0.11"))
    users.start_over()
    anew = Kernel()
    anew.catch_up(users)
    assert anew.held()["to4"].keys() == {"10.1.0.10", "10.1.0.11"}


CHANGES = st.lists(
    st.tuples(
        st.sampled_from(["g1", "g2"]),
        st.sampled_from([b"a", b"b", b"c"]),
        st.one_of(
            st.none(), st.builds(Subscriber, st.sampled_from(MACS), st.sampled_from(ADDRESSES), st.just(""))
        ),
        st.booleans(),
    ),
    max_size=40,
)


def expected(users: dict[tuple[str, bytes], Subscriber]) -> Iterator[tuple[str, str]]:
    for (group, _), user in users.items():
        if user.ipv4:
            yield f"from4_{NAMES.number(group)}", f"{user.mac} . {user.ipv4}"
            yield "to4", user.ipv4


@given(CHANGES)
def test_the_kernel_holds_what_the_users_are(
    changes: list[tuple[str, bytes, Subscriber | None, bool]],
) -> None:
    users, kernel = Users(CONFIG, NAMES), Kernel()
    model: dict[tuple[str, bytes], Subscriber] = {}
    for group, key, user, told in changes:
        if user is None:
            users.delete(group, key)
            model.pop((group, key), None)
        else:
            users.put(group, key, user)
            model[group, key] = user
        if told:
            kernel.catch_up(users)
    kernel.catch_up(users)
    held = {(where, key) for where, elements in kernel.held().items() for key in elements}
    assert held == set(expected(model))
    marks = {
        address: {f"{NAMES.mark(group):#x}" for (group, _), user in model.items() if user.ipv4 == address}
        for address in ADDRESSES
    }
    assert all(data in marks[key] for key, data in kernel.held().get("to4", {}).items())
    assert len(users) == len(model)


def test_a_record_says_who_its_user_is() -> None:
    record = UserInfo("02:00:00:00:00:0A", ipv4_address="10.1.0.10").encode()
    assert Subscriber.from_record(record) == Subscriber("02:00:00:00:00:0a", "10.1.0.10")
    assert Subscriber.from_record(record).addresses == ("10.1.0.10",)
    with pytest.raises(RecordError):
        Subscriber.from_record(b"<no/>")
