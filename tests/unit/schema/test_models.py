"""Our modules against the messages that the code makes (FIG. 4 and 5)."""

from lxml import etree

from rui.backup.identity import IdentityNotification, IdentityResult, Role
from rui.backup.messages import (
    Batch,
    Change,
    Position,
    Quarantined,
    Receipt,
    Result,
    SnapshotPage,
    SnapshotProgress,
    Stream,
)
from rui.backup.record import UserInfo
from rui.backup.version import NO_EPOCH, ZERO, Epoch, Version
from rui.backup.wire import (
    ACKNOWLEDGE,
    DELIVER,
    encode_batch,
    encode_identity,
    encode_identity_result,
    encode_receipt,
    receipt_children,
)
from rui.schema import Kind, Schema

EPOCH = Epoch(7, "bras-a")
PROGRESS = SnapshotProgress(Version(EPOCH, 5), 4096, Version(EPOCH, 9))
USER = UserInfo(
    mac_address="02:00:00:00:00:01", ipv4_address="192.0.2.1", circuit_id=b"\x00\xff", lease_time=60
)
CHANGES = (
    Change(USER.key, Version(EPOCH, 1), USER.encode()),
    Change(b"02:00:00:00:00:02/100/4094", Version(EPOCH, 2), None),
)
RECEIPT = Receipt(
    "g1",
    Result.REFUSED,
    Position(Version(EPOCH, 1), PROGRESS),
    "older than what is held",
    (Quarantined(USER.key, Version(EPOCH, 1), "no"),),
)


def test_s402_and_s403_are_as_the_model_says(router: Schema, manager: Schema) -> None:
    for role, epoch in ((Role.PRIMARY, EPOCH), (Role.SECONDARY, NO_EPOCH), (Role.SECONDARY, EPOCH)):
        for position in (Position(), Position(Version(EPOCH, 3), PROGRESS)):
            said = encode_identity(IdentityNotification("g1", "bras-a", "192.0.2.1", role, epoch, position))
            router.check_notification(said)
            manager.check_notification(said)
    for accepted, highest in ((True, EPOCH), (False, NO_EPOCH)):
        result = IdentityResult("g1", "bras-a", accepted, "", highest, "store-1", Position())
        router.check_rpc(encode_identity_result(result))


def test_s502_to_s504_are_as_the_model_says(router: Schema, manager: Schema) -> None:
    for part in (Stream(ZERO, Version(EPOCH, 2)), SnapshotPage(Version(EPOCH, 2), 0, 4095)):
        batch = Batch("g1", EPOCH, part, CHANGES)
        manager.check_notification(b"".join(encode_batch(batch)))
        router.check_rpc(b"".join(encode_batch(batch, DELIVER)))
    router.check_rpc(encode_receipt(RECEIPT, ACKNOWLEDGE))
    router.check_output(DELIVER, receipt_children(RECEIPT))
    fetch = (
        '<fetch-user-info xmlns="urn:rui-cloud:yang:backup"><group-id>g</group-id><device-id>d</device-id>{}'
    )
    manager.check_rpc((fetch.format("<cursor/>") + "</fetch-user-info>").encode())
    assert manager.node("/rui-backup:fetch-user-info/input/max-records").defaults == ("1000",)


def test_a_record_is_an_instance_of_the_list(router: Schema) -> None:
    assert (
        router.records("/rui-user-info:user-info/group/user").check(["g1"], [USER.encode()], [USER.key]) == []
    )
    router.check_operational(
        b'<user-info xmlns="urn:rui-cloud:yang:user-info"><group><group-id>g1</group-id>'
        + USER.encode()
        + b"</group></user-info>"
    )


def test_only_the_key_of_a_record_is_mandatory(router: Schema) -> None:
    user = router.node("/rui-user-info:user-info/group/user")
    assert {node.name for node in user.children.values() if node.mandatory} == set(user.keys)


def test_every_message_states_its_step(router: Schema) -> None:
    for module in ("rui-backup", "rui-identity"):
        tops = [*router.tree.rpcs.values(), *router.tree.notifications.values()]
        steps = [node.description.split()[0] for node in tops if node.module == module]
        assert all(step.rstrip(":,").startswith("S") or step == "Compare" for step in steps), steps


def test_every_node_is_described(router: Schema, manager: Schema) -> None:
    for schema in (router, manager):
        for top in (
            *schema.tree.data.values(),
            *schema.tree.rpcs.values(),
            *schema.tree.notifications.values(),
        ):
            if top.module.startswith("rui-"):
                for node in top.walk():
                    assert node.description or node.kind in {Kind.INPUT, Kind.OUTPUT}, node.path


def test_secrets_are_denied_to_everybody_by_default(router: Schema, manager: Schema) -> None:
    denied = ("ietf-netconf-acm", "default-deny-all")
    for schema in (router, manager):
        for top in schema.tree.data.values():
            for node in top.walk():
                if node.name in {"password-hash", "password-file", "private-key-file"}:
                    assert denied in node.extensions, node.path


def test_the_stream_of_a_subscription_is_checked(router: Schema) -> None:
    subscribe = "urn:ietf:params:xml:ns:netconf:notification:1.0"
    router.check_rpc(
        (
            f'<create-subscription xmlns="{subscribe}"><stream>rui-backup</stream>'
            '<filter type="xpath" select="/a"/></create-subscription>'
        ).encode()
    )
    element = etree.Element("{urn:ietf:params:xml:ns:netmod:notification}notificationComplete")
    router.check_notification(element)
