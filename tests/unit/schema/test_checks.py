from pathlib import Path

import pytest
from lxml import etree

from rui.schema import DataError, Defaults, Issue, Schema, Tag
from tests.unit.schema.test_load import AUGMENT, write

NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
BACKUP = "urn:rui-cloud:yang:backup"
GROUP = (
    "<device xmlns='urn:rui-cloud:yang:device'><device-id>bras-a</device-id>"
    "<group><id>g1</id><static-role>primary</static-role>{}</group></device>"
)
BATCH = (
    "<{name} xmlns='urn:rui-cloud:yang:backup'>{more}<group-id>g1</group-id><writer>7@bras-a</writer>"
    "<stream><prev/><last>7@bras-a/1</last></stream><change><key>02:00:00:00:00:01/100/0</key>"
    "<version>7@bras-a/1</version><record><user xmlns='urn:x'><anything/></user></record></change></{name}>"
)


def issues_of(check: object, *arguments: object) -> tuple[Issue, ...]:
    with pytest.raises(DataError) as caught:
        check(*arguments)  # type: ignore[operator]
    return caught.value.issues


def test_configuration_may_come_bare_or_in_netconfs_wrapper(router: Schema) -> None:
    inner = GROUP.format("<simulated/>")
    router.check_config(inner.encode())
    router.check_config(etree.fromstring(inner))
    router.check_config(etree.fromstring(f'<config xmlns="{NETCONF}">{inner}</config>'))


def test_every_issue_says_path_reason_and_tag(router: Schema) -> None:
    data = GROUP.format(
        "<upload>\n<mode>soon</mode></upload><timers><link-timeout>5</link-timeout></timers><x/>"
    )
    found = {issue.path: issue for issue in issues_of(router.check_config, data.encode())}
    base = "/rui-device:device/group[id='g1']"
    assert set(found) == {f"{base}/upload/mode", f"{base}/timers/link-timeout", f"{base}/x"}
    mode = found[f"{base}/upload/mode"]
    assert (mode.tag, mode.element, mode.line) == (Tag.INVALID_VALUE, "mode", 2)
    assert '"soon"' in mode.message
    assert found[f"{base}/x"].tag is Tag.UNKNOWN_ELEMENT


@pytest.mark.parametrize(
    ("body", "path", "tag", "words"),
    [
        ("<dhcp/>", "/dhcp", Tag.OPERATION_FAILED, "set giaddr here or virtual-giaddr"),
        (
            "<timers><probe-interval>2000</probe-interval></timers>",
            "/timers",
            Tag.OPERATION_FAILED,
            "Lower probe-interval",
        ),
        ("<timers><query-tries>20</query-tries><max-wait>5000</max-wait></timers>", "/timers",
         Tag.OPERATION_FAILED, "Raise max-wait"),
        ("<degraded><leave-rtt>300</leave-rtt></degraded>", "/degraded", Tag.OPERATION_FAILED, "flap"),
        (
            "<member><device-id>bras-a</device-id></member>",
            "/member[device-id='bras-a']/device-id",
            Tag.OPERATION_FAILED,
            "list the others",
        ),
        ("<simulated/><dhcp/>", "", Tag.BAD_ELEMENT, "both cases"),
        ("<member/>", "/member/device-id", Tag.MISSING_ELEMENT, "missing its key"),
        (
            "<address-pool><name>p</name></address-pool>",
            "/address-pool[name='p']/prefix",
            Tag.DATA_MISSING,
            '"prefix"',
        ),
        ("<x xmlns='urn:nowhere'/>", "", Tag.UNKNOWN_NAMESPACE, "urn:nowhere"),
        (
            ("<dhcp><server>192.0.2.1</server><giaddr>192.0.2.2</giaddr>"
            "<circuit-id-template>{nonsense}</circuit-id-template></dhcp>"),
            "/dhcp/circuit-id-template",
            Tag.INVALID_VALUE,
            "{logical-port}",
        ),
    ],
)  # fmt: skip
def test_a_group_that_cannot_work_is_refused_with_a_remedy(
    router: Schema, body: str, path: str, tag: Tag, words: str
) -> None:
    found = issues_of(router.check_config, GROUP.format(body).encode())
    matching = [issue for issue in found if issue.path == f"/rui-device:device/group[id='g1']{path}"]
    assert [(issue.tag, words in issue.message) for issue in matching if words in issue.message] == [
        (tag, True)
    ]


def test_every_issue_of_a_file_says_its_line(router: Schema) -> None:
    file = (
        f'<?xml version="1.0"?>\n<!-- startup -->\n<config xmlns="{NETCONF}">\n'
        '<device xmlns="urn:rui-cloud:yang:device">\n<device-id>a</device-id>\n'
        "<group>\n<id>g1</id>\n<static-role>primary</static-role>\n</group>\n"
        "<group>\n<id>g2</id>\n<static-role>secondary</static-role>\n"
        "<timers>\n<probe-interval>2000</probe-interval>\n</timers>\n<dhcp>\n"
        "<server>192.0.2.1</server>\n</dhcp>\n</group>\n</device>\n</config>\n"
    )
    found = {
        issue.path.rpartition("/")[2]: issue.line for issue in issues_of(router.check_config, file.encode())
    }
    assert found == {"timers": 13, "dhcp": 16}
    wrong = file.replace("<static-role>secondary", "<static-role>third")
    (issue,) = issues_of(router.check_config, etree.fromstring(wrong.encode()))
    assert issue.line == 12
    (issue,) = issues_of(router.check_config, file.replace("</timers>", "").encode())
    assert issue.line > 13


def test_defaults_are_filled_in(router: Schema) -> None:
    place = "{*}device/{*}group/{*}timers/{*}link-timeout"
    complete = router.complete_config(GROUP.format("<simulated/>").encode())
    assert complete.findtext(place) == "3000"
    explicit = router.complete_config(GROUP.format("<simulated/>").encode(), Defaults.EXPLICIT)
    assert explicit.findtext(place) is None


def test_configuration_has_no_state(router: Schema) -> None:
    (issue,) = issues_of(router.check_config, b'<identity xmlns="urn:rui-cloud:yang:identity"/>')
    assert "state" in issue.message


@pytest.mark.parametrize(
    "data", [b"<device", b"<a></b>", b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", b"\xff\xfe"]
)
def test_what_is_no_xml_is_said_to_be_malformed(router: Schema, data: bytes) -> None:
    assert {issue.tag for issue in issues_of(router.check_config, data)} == {Tag.MALFORMED}
    assert {issue.tag for issue in issues_of(router.check_rpc, data)} == {Tag.MALFORMED}


def test_requests_are_checked_with_the_senders_own_paths(router: Schema) -> None:
    good = BATCH.format(name="deliver-user-info", more="")
    router.check_rpc(good.encode())
    (issue,) = issues_of(router.check_rpc, good.replace("7@bras-a<", "7<").encode())
    assert (issue.path, issue.tag) == ("/rui-backup:deliver-user-info/writer", Tag.INVALID_VALUE)
    bad = good.replace("<group-id>g1</group-id>", "")
    (issue,) = issues_of(router.check_rpc, etree.fromstring(bad))
    assert (issue.path, issue.tag) == ("/rui-backup:deliver-user-info/group-id", Tag.MISSING_ELEMENT)


def test_a_refused_key_beside_a_reference_does_not_bring_libyang_down(folder: Path) -> None:
    write(
        folder,
        "refs",
        'module refs { yang-version 1.1; namespace "urn:refs"; prefix r; '
        "list a { key k; leaf k { type uint8; } "
        "leaf to { type leafref { path '/a/k'; } } } }",
    )
    schema = Schema.load(["refs"], [folder])
    (issue,) = issues_of(schema.check_config, b'<a xmlns="urn:refs"><k>many</k><to>1</to></a>')
    assert issue.tag is Tag.INVALID_VALUE


def test_an_unknown_operation_is_refused(router: Schema) -> None:
    (issue,) = issues_of(router.check_rpc, f'<nothing xmlns="{BACKUP}"/>'.encode())
    assert (issue.tag, issue.element) == (Tag.UNKNOWN_ELEMENT, "nothing")
    (issue,) = issues_of(router.check_rpc, b'<nothing xmlns="urn:nowhere"/>')
    assert (issue.tag, issue.namespace) == (Tag.UNKNOWN_NAMESPACE, "urn:nowhere")


def test_a_namespace_that_no_module_has_is_found_in_the_file(router: Schema) -> None:
    file = f'<config xmlns="{NETCONF}">\n  <!-- old -->\n  <device xmlns="urn:nowhere"/>\n</config>\n'
    (issue,) = issues_of(router.check_config, file.encode())
    assert (issue.tag, issue.namespace, issue.line) == (Tag.UNKNOWN_NAMESPACE, "urn:nowhere", 3)


@pytest.mark.parametrize(
    "request_text",
    [
        f'<edit-config xmlns="{NETCONF}"><target><running/></target><config xmlns=""/></edit-config>',
        f'<n:edit-config xmlns:n="{NETCONF}"><n:target><n:running/></n:target><config/></n:edit-config>',
    ],
)
def test_an_element_of_a_request_without_namespace_is_named(router: Schema, request_text: str) -> None:
    (issue,) = issues_of(router.check_rpc, request_text.encode())
    assert (issue.tag, issue.namespace, issue.element) == (Tag.UNKNOWN_NAMESPACE, "", "config")
    assert issue.path == "/ietf-netconf:edit-config"
    assert issue.message == "element 'config' has no namespace: give it an xmlns attribute"


def test_netconfs_own_operations_are_checked(router: Schema) -> None:
    router.check_rpc(
        f'<get-config xmlns="{NETCONF}"><source><running/></source>'
        f'<filter type="subtree"><a xmlns="urn:a"/></filter></get-config>'.encode()
    )
    router.check_rpc(
        f'<edit-config xmlns="{NETCONF}" xmlns:nc="{NETCONF}"><target><candidate/></target><config>'
        f'<a xmlns="urn:a" nc:operation="delete"/></config></edit-config>'.encode()
    )
    (issue,) = issues_of(router.check_rpc, f'<get-config xmlns="{NETCONF}"/>'.encode())
    assert issue.path == "/ietf-netconf:get-config/source"
    (issue, *_) = issues_of(
        router.check_rpc, f'<get-config xmlns="{NETCONF}"><source><startup/></source></get-config>'.encode()
    )
    assert issue.path == "/ietf-netconf:get-config/source/startup"


def test_notifications_and_outputs_are_checked(router: Schema) -> None:
    router.check_notification(BATCH.format(name="user-info-upload", more="").encode())
    (issue, *_) = issues_of(
        router.check_notification, BATCH.format(name="user-info-upload", more="<extra/>").encode()
    )
    assert issue.path == "/rui-backup:user-info-upload/extra"
    deliver = f"{{{BACKUP}}}deliver-user-info"
    leaves = [
        f'<{name} xmlns="{BACKUP}">{text}</{name}>'.encode()
        for name, text in (("group-id", "g1"), ("result", "stored"), ("cursor", ""))
    ]
    router.check_output(deliver, leaves)
    (issue,) = issues_of(router.check_output, deliver, leaves[:2])
    assert (issue.path, issue.tag) == ("/rui-backup:deliver-user-info/cursor", Tag.MISSING_ELEMENT)


def test_augments_are_carried_into_requests_replies_and_notifications(folder: Path) -> None:
    write(folder, "acme-color", AUGMENT)
    schema = Schema.load(["rui-user-info", "rui-backup", "acme-color"], [folder])
    schema.check_rpc(BATCH.format(name="deliver-user-info", more='<hurry xmlns="urn:acme:color"/>').encode())
    mood = '<mood xmlns="urn:acme:color">{}</mood>'
    schema.check_notification(BATCH.format(name="user-info-upload", more=mood.format("good")).encode())
    (issue,) = issues_of(
        schema.check_notification, BATCH.format(name="user-info-upload", more=mood.format("x" * 9)).encode()
    )
    assert issue.path == "/rui-backup:user-info-upload/acme-color:mood"
    leaves = [f'<group-id xmlns="{BACKUP}">g</group-id>', f'<result xmlns="{BACKUP}">gap</result>',
              f'<cursor xmlns="{BACKUP}"/>']  # fmt: skip
    issues = issues_of(
        schema.check_output, f"{{{BACKUP}}}deliver-user-info", [leaf.encode() for leaf in leaves]
    )
    assert [issue.path for issue in issues] == ["/rui-backup:deliver-user-info/acme-color:heat"]


def test_operational_data_may_be_a_part_of_the_tree(router: Schema) -> None:
    router.check_operational(
        b'<user-info xmlns="urn:rui-cloud:yang:user-info"><group><group-id>g1</group-id><users>3</users>'
        b"</group></user-info>"
    )
    (issue,) = issues_of(
        router.check_operational,
        b'<user-info xmlns="urn:rui-cloud:yang:user-info"><group><group-id>g1</group-id><users>x</users>'
        b"</group></user-info>",
    )
    assert issue.path == "/rui-user-info:user-info/group[group-id='g1']/users"


def test_one_check_leaves_nothing_behind_for_the_next(
    router: Schema, capfd: pytest.CaptureFixture[str]
) -> None:
    good, bad = GROUP.format("<simulated/>").encode(), GROUP.format("<x/>").encode()
    for _ in range(3):
        assert len(issues_of(router.check_config, bad)) == 1
        router.check_config(good)
    assert capfd.readouterr() == ("", "")
