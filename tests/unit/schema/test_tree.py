import pytest

from rui.schema import Conformance, Kind, Schema, UnknownNodeError

DEVICE = "urn:rui-cloud:yang:device"
INFO = "urn:rui-cloud:yang:user-info"


def test_a_list_says_its_keys_and_children(router: Schema) -> None:
    user = router.node("/rui-user-info:user-info/group/user")
    assert (user.kind, user.keys, user.config) == (
        Kind.LIST,
        ("mac-address", "outer-vlan", "inner-vlan"),
        False,
    )
    assert user.tag == f"{{{INFO}}}user"
    assert user.children[f"{{{INFO}}}outer-vlan"].mandatory


def test_nodes_are_found_by_tags_as_an_element_has_them(router: Schema) -> None:
    tags = [f"{{{DEVICE}}}{name}" for name in ("device", "group", "timers", "link-timeout")]
    found = router.find(tags)
    assert found is router.node("/rui-device:device/group/timers/link-timeout")
    assert router.find([*tags, f"{{{DEVICE}}}nothing"]) is None


def test_a_leaf_says_type_default_and_units(router: Schema) -> None:
    leaf = router.node("/rui-device:device/group/timers/link-timeout")
    assert leaf.type is not None
    assert (leaf.type.base, leaf.type.ranges, leaf.defaults) == ("uint32", (("300", "60000"),), ("3000",))
    mode = router.node("/rui-device:device/group/upload/mode")
    assert mode.type is not None
    assert mode.type.enums == ("real-time", "batch")
    role = router.node("/rui-device:device/group/initiator")
    assert role.type is not None
    assert (role.type.enums, role.defaults) == (("primary", "secondary"), ("primary",))


def test_identities_and_patterns_are_listed(router: Schema) -> None:
    session = router.node("/rui-user-info:user-info/group/user/session-type")
    assert session.type is not None
    assert "rui-user-info:dhcp" in session.type.identities
    group = router.node("/rui-device:device/group/id")
    assert group.type is not None
    assert group.type.patterns == (r"[A-Za-z0-9][A-Za-z0-9._\-]{0,62}",)


def test_choices_are_flattened_and_exclude_each_other(router: Schema) -> None:
    group = router.node("/rui-device:device/group")
    dhcp, simulated, upload = (group.child(name) for name in ("dhcp", "simulated", "upload"))
    assert dhcp is not None
    assert simulated is not None
    assert upload is not None
    assert dhcp.excludes(simulated)
    assert not dhcp.excludes(dhcp)
    assert not dhcp.excludes(upload)


def test_operations_have_input_and_output(router: Schema) -> None:
    rpc = router.tree.rpcs["{urn:rui-cloud:yang:backup}deliver-user-info"]
    assert rpc.kind is Kind.RPC
    assert not router.node("/rui-backup:deliver-user-info/input/group-id").config
    assert router.node("/rui-backup:deliver-user-info/output/cursor").mandatory
    upload = router.tree.notifications["{urn:rui-cloud:yang:backup}user-info-upload"]
    change = upload.child("change")
    assert change is not None
    assert change.ordered_by_user
    assert not change.keys


def test_extensions_are_kept(router: Schema) -> None:
    secret = router.node("/rui-device:device/netconf-server/account/password-hash")
    assert ("ietf-netconf-acm", "default-deny-all") in secret.extensions
    interface = router.node("/rui-device:device/group/access-port/interface")
    assert ("rui-types", "local") in interface.extensions


def test_an_unknown_path_says_what_there_is(router: Schema) -> None:
    with pytest.raises(UnknownNodeError, match="user-info has no 'groups', only group"):
        router.node("/rui-user-info:user-info/groups/user")
    with pytest.raises(UnknownNodeError, match="no module has a top-level 'x:y'"):
        router.node("/x:y")


def test_modules_are_described(router: Schema) -> None:
    by_name = {module.name: module for module in router.modules}
    info = by_name["rui-user-info"]
    assert (info.revision, info.namespace, info.conformance) == ("2026-11-23", INFO, Conformance.IMPLEMENT)
    assert by_name["ietf-inet-types"].conformance is Conformance.IMPORT
    assert {"candidate", "writable-running"} <= set(by_name["ietf-netconf"].features)
    assert "rui-cloud" not in by_name
    assert router.source("rui-user-info", "2026-11-23") == info.source
    assert router.source("rui-user-info", "1999-01-01") is None
    assert router.source("nothing") is None


def test_the_manager_has_its_own_configuration(manager: Schema) -> None:
    assert manager.node("/rui-cloud:cloud/device").keys == ("device-id",)
    with pytest.raises(UnknownNodeError):
        manager.node("/rui-device:device")
