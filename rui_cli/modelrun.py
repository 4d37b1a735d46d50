"""The dry run of ``rui model check``: one record from a primary by way of the cloud to a secondary."""

from collections.abc import Iterator

from lxml import etree

from rui.backup.messages import Batch, Change, Stream
from rui.backup.record import UserInfo
from rui.backup.version import ZERO, Epoch, Version
from rui.backup.wire import DELIVER, UPLOAD, WireError, decode_batch, encode_batch
from rui.schema import DataError, Schema
from rui.schema.sample import sample_element

RECORD_LIST = "/rui-user-info:user-info/group/user"
_GROUP = "dry-run"
_EPOCH = Epoch(1, "primary")
_AT = 1_800_000_000.0


def dry_run(primary: Schema, cloud: Schema, secondary: Schema) -> Iterator[str]:
    """Send a record with every leaf that can be invented through three schemas; yield what stops it.

    The steps are those of the field: S502 a notification, S504 an RPC, the record checked by each receiver.
    """
    record = sample_record(primary)
    key = _sample_user().key
    yield from _refusals(primary, "primary", key, record)
    for where, schema, message in (("cloud", cloud, UPLOAD), ("secondary", secondary, DELIVER)):
        batch = Batch(
            _GROUP, _EPOCH, Stream(ZERO, Version(_EPOCH, 1)), (Change(key, Version(_EPOCH, 1), record),)
        )
        raw = b"".join(encode_batch(batch, message))
        try:
            if message == UPLOAD:
                schema.check_notification(raw)
            else:
                schema.check_rpc(raw)
            received = decode_batch(etree.fromstring(raw), raw).changes[0].record
        except (DataError, WireError) as error:
            yield f"{where}: {error}"
            return
        if received != record:
            yield f"{where}: the record's bytes changed on the way"
        yield from _refusals(schema, where, key, record)


def sample_record(schema: Schema) -> bytes:
    """Return a record with all leaves that we write, and one invented for each further leaf of the schema."""
    user = etree.fromstring(_sample_user().encode())
    for node in schema.node(RECORD_LIST).children.values():
        if user.find(node.tag) is None:
            text = sample_element(node)
            if text is not None:
                user.append(etree.fromstring(text))
    return etree.tostring(user)


def _sample_user() -> UserInfo:
    return UserInfo(
        mac_address="02:00:00:00:00:01",
        outer_vlan=100,
        ipv4_address="192.0.2.1",
        ipv6_address="2001:db8::1",
        ipv6_delegated_prefix="2001:db8:1::/56",
        address_pool="pool",
        dhcp_server="192.0.2.254",
        lease_start=_AT,
        lease_time=3600,
        lease_expiry=_AT + 3600,
        client_id=b"\x01\x02\x00\x00\x00\x00\x01",
        option_82=b"\x01\x02\x00\xff",
        circuit_id=b"\x00\xff",
        remote_id=b"port 1",
        logical_port="port-1",
        online_since=_AT,
    )


def _refusals(schema: Schema, where: str, key: bytes, record: bytes) -> Iterator[str]:
    for issue in schema.records(RECORD_LIST).check([_GROUP], [record], [key]):
        yield f"{where}: {issue}"
