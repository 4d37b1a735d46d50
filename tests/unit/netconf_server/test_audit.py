"""The audit log says who changed what, and shows no secret."""

from __future__ import annotations

from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from netconf_server import Datastores
from netconf_server.audit import Audit
from netconf_server.call import SessionInfo
from netconf_server.datastores import CANDIDATE, RUNNING
from rui_cli.site import DEVICE_NAMESPACE, Content, configuration
from tests.models import router_model
from tests.unit.netconf_server.nacm_rig import config, house, nacm, permit, room, schema

ANN = SessionInfo(7, "ann", "192.0.2.1:4711", "netconf-ssh", datetime.now(UTC))
BEFORE = house("<name>n</name><code>old</code>" + room("hall"))


async def changed(edit: str, target: str = RUNNING, before: str = BEFORE) -> MutableMapping[str, Any]:
    """The one event of an edit."""
    datastores = Datastores(schema(), config(before))
    Audit(datastores, lambda number: ANN if number == 7 else None)
    with capture_logs() as events:
        await datastores.edit(target, config(edit), session=7)
    (event,) = [event for event in events if event["event"] == "config-changed"]
    return event


async def test_an_event_says_who_from_where_and_what() -> None:
    event = await changed(house("<name>m</name>" + room("bath", "<owner>o</owner>")))
    assert event == {
        "event": "config-changed",
        "log_level": "info",
        "datastore": "running",
        "user": "ann",
        "session": 7,
        "source": "192.0.2.1:4711",
        "changes": [
            "changed /guarded:house/guarded:name from 'n' to 'm'",
            "created /guarded:house/guarded:room[guarded:name='bath']",
            "created /guarded:house/guarded:room[guarded:name='bath']/guarded:owner 'o'",
        ],
        "complete": True,
    }


async def test_what_is_closed_to_readers_is_masked() -> None:
    event = await changed(house("<code>new</code>"))
    assert event["changes"] == ["changed /guarded:house/guarded:code from *** to ***"]


async def test_rules_are_shown() -> None:
    event = await changed(nacm(permit(rpc_name="ring")))
    assert any("rpc-name 'ring'" in line for line in event["changes"])


async def test_a_password_hash_is_masked() -> None:
    model = router_model()
    account = {"name": "new", "password-hash": "$scrypt$ln=14,r=8,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"}
    device: dict[str, Content] = {"device-id": "a", "netconf-server": {"listen": None, "account": account}}
    datastores = Datastores(model)
    Audit(datastores, lambda _: ANN)
    with capture_logs() as events:
        await datastores.edit(RUNNING, configuration(DEVICE_NAMESPACE, "device", device), session=7)
    text = str(events)
    assert "account[rui-device:name='new']/rui-device:password-hash ***" in text
    assert "c2Fsd" not in text


async def test_a_long_change_is_cut() -> None:
    event = await changed(house("".join(room(f"r{number}") for number in range(300))))
    assert (len(event["changes"]), event["complete"]) == (100, False)
    (line,) = (await changed(house(f"<name>{'x' * 1000}</name>")))["changes"]
    assert len(line) < 300


async def test_the_candidate_and_the_programs_own_changes_are_told_too() -> None:
    assert (await changed(house("<name>m</name>"), CANDIDATE))["datastore"] == "candidate"
    datastores = Datastores(schema(), config(BEFORE))
    Audit(datastores, lambda _: ANN)
    with capture_logs() as events:
        await datastores.edit(RUNNING, config(house("<name>m</name>")))
    assert (events[-1]["user"], events[-1]["session"]) == ("", None)


async def test_nothing_is_told_where_nothing_changes() -> None:
    with pytest.raises(ValueError, match="not enough values"):
        await changed(house("<name>n</name>"))
