"""Comparing what devices hold, record by record and by digest."""

from collections.abc import Iterable
from typing import cast

import pytest
from lxml import etree

from netconf_client import ClientSession, Reply
from rui.backup.version import Version
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui_cli.tables import BACKUP, USER_INFO, ask_holding, ask_records, canonical, compare


class Answers:
    """A session that gives prepared replies and keeps what it was asked."""

    def __init__(self, *replies: str) -> None:
        self._replies = iter(replies)
        self.asked: list[bytes] = []

    async def rpc(self, operation: etree._Element, **_options: float) -> Reply:
        self.asked.append(etree.tostring(operation))
        raw = f'<rpc-reply xmlns="{names.BASE}">{next(self._replies)}</rpc-reply>'.encode()
        return Reply(etree.fromstring(raw), raw)

    get = rpc

    @property
    def session(self) -> ClientSession:
        return cast("ClientSession", self)


def user(mac: str, address: str) -> str:
    return (
        f'<user xmlns="{USER_INFO}"><mac-address>{mac}</mac-address><outer-vlan>100</outer-vlan>'
        f"<inner-vlan>0</inner-vlan><ipv4-address>{address}</ipv4-address></user>"
    )


def data(users: Iterable[str]) -> str:
    group = f"<group><group-id>g</group-id>{''.join(users)}</group>"
    return f'<data><user-info xmlns="{USER_INFO}">{group}</user-info></data>'


async def test_a_holding_is_read_from_the_answer() -> None:
    answers = Answers(
        f'<cursor xmlns="{BACKUP}">3@bras-a/17</cursor><count xmlns="{BACKUP}">5</count>'
        f'<quarantined xmlns="{BACKUP}">1</quarantined><digest xmlns="{BACKUP}">0f</digest>'
    )
    holding = await ask_holding(answers.session, "g")
    assert (holding.cursor, holding.count, holding.quarantined, holding.digest) == (
        Version.parse("3@bras-a/17"),
        5,
        1,
        "0f",
    )
    assert b"<group-id>g</group-id>" in answers.asked[0]


async def test_an_answer_without_a_digest_is_an_error_that_names_it() -> None:
    with pytest.raises(RpcError, match="no cursor"):
        await ask_holding(Answers("<ok/>").session, "g")


async def test_records_are_kept_by_key() -> None:
    first, second = user("02:00:00:00:00:01", "10.0.0.1"), user("02:00:00:00:00:02", "10.0.0.2")
    records = await ask_records(Answers(data([first, second])).session, "g")
    assert list(records) == ["02:00:00:00:00:01/100/0", "02:00:00:00:00:02/100/0"]
    assert records["02:00:00:00:00:01/100/0"] == first.encode()


def test_canonical_form_does_not_depend_on_prefixes_declared_outside() -> None:
    inside = etree.fromstring(f'<a xmlns:x="urn:x">{user("02:00:00:00:00:01", "10.0.0.1")}</a>')[0]
    alone = etree.fromstring(user("02:00:00:00:00:01", "10.0.0.1"))
    assert canonical(inside) == canonical(alone)


def test_differences_are_told_apart() -> None:
    difference = compare({"a": b"1", "b": b"2", "c": b"3"}, {"b": b"2", "c": b"x", "d": b"4"})
    assert difference.missing == {"a"}
    assert difference.extra == {"d"}
    assert difference.changed == {"c"}
    assert not difference.empty
    assert compare({"a": b"1"}, {"a": b"1"}).empty
