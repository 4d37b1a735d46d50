from collections.abc import Callable

import pytest
from lxml import etree

from rui.netconf import names
from rui.netconf.errors import ALLOWED_TYPES, ErrorTag, ErrorType, RpcError, Severity, first_error

BUILT: dict[ErrorTag, Callable[[], RpcError]] = {
    ErrorTag.IN_USE: lambda: RpcError.in_use("busy"),
    ErrorTag.INVALID_VALUE: lambda: RpcError.invalid_value("odd"),
    ErrorTag.TOO_BIG: lambda: RpcError.too_big("big"),
    ErrorTag.MISSING_ATTRIBUTE: lambda: RpcError.missing_attribute("message-id", "rpc"),
    ErrorTag.BAD_ATTRIBUTE: lambda: RpcError.bad_attribute("operation", "interface"),
    ErrorTag.UNKNOWN_ATTRIBUTE: lambda: RpcError.unknown_attribute("colour", "interface"),
    ErrorTag.MISSING_ELEMENT: lambda: RpcError.missing_element("target"),
    ErrorTag.BAD_ELEMENT: lambda: RpcError.bad_element("mtu"),
    ErrorTag.UNKNOWN_ELEMENT: lambda: RpcError.unknown_element("colour"),
    ErrorTag.UNKNOWN_NAMESPACE: lambda: RpcError.unknown_namespace("{urn:x}a", "urn:x"),
    ErrorTag.ACCESS_DENIED: lambda: RpcError.access_denied("no"),
    ErrorTag.LOCK_DENIED: lambda: RpcError.lock_denied(454, "locked"),
    ErrorTag.RESOURCE_DENIED: lambda: RpcError.resource_denied("full"),
    ErrorTag.ROLLBACK_FAILED: lambda: RpcError.rollback_failed("stuck"),
    ErrorTag.DATA_EXISTS: lambda: RpcError.data_exists("there"),
    ErrorTag.DATA_MISSING: lambda: RpcError.data_missing("not there"),
    ErrorTag.OPERATION_NOT_SUPPORTED: lambda: RpcError.operation_not_supported("never"),
    ErrorTag.OPERATION_FAILED: lambda: RpcError.operation_failed("somehow"),
    ErrorTag.PARTIAL_OPERATION: lambda: RpcError.partial_operation(
        "half", ok=["a"], failed=["b"], not_tried=["c"]
    ),
    ErrorTag.MALFORMED_MESSAGE: lambda: RpcError.malformed_message("garbled"),
}

MANDATORY_INFO = {
    ErrorTag.MISSING_ATTRIBUTE: ["bad-attribute", "bad-element"],
    ErrorTag.BAD_ATTRIBUTE: ["bad-attribute", "bad-element"],
    ErrorTag.UNKNOWN_ATTRIBUTE: ["bad-attribute", "bad-element"],
    ErrorTag.MISSING_ELEMENT: ["bad-element"],
    ErrorTag.BAD_ELEMENT: ["bad-element"],
    ErrorTag.UNKNOWN_ELEMENT: ["bad-element"],
    ErrorTag.UNKNOWN_NAMESPACE: ["bad-element", "bad-namespace"],
    ErrorTag.LOCK_DENIED: ["session-id"],
    ErrorTag.PARTIAL_OPERATION: ["ok-element", "err-element", "noop-element"],
}


@pytest.mark.parametrize("tag", list(ErrorTag))
def test_every_tag_of_appendix_a_is_built_as_it_says(tag: ErrorTag) -> None:
    error = BUILT[tag]()
    assert error.tag == tag
    assert error.error_type in ALLOWED_TYPES[tag]
    assert error.severity == Severity.ERROR
    assert [etree.QName(item).localname for item in error.info] == MANDATORY_INFO.get(tag, [])
    assert error.message


@pytest.mark.parametrize("tag", list(ErrorTag))
def test_every_error_survives_the_wire(tag: ErrorTag) -> None:
    error = BUILT[tag]()
    again = RpcError.from_xml(etree.fromstring(etree.tostring(error.to_xml())))
    assert str(again) == str(error)
    assert [etree.tostring(item) for item in again.to_elements()] == [
        etree.tostring(item) for item in error.to_elements()
    ]


def test_all_parts_are_written_in_the_order_of_the_schema() -> None:
    error = RpcError.invalid_value(
        "mtu is out of range",
        error_type=ErrorType.APPLICATION,
        app_tag="range",
        path="/if:interfaces/if:interface[if:name='eth0']/if:mtu",
        path_namespaces={"if": "urn:if"},
    )
    element = error.to_xml()
    assert [etree.QName(child).localname for child in element] == [
        "error-type",
        "error-tag",
        "error-severity",
        "error-app-tag",
        "error-path",
        "error-message",
    ]
    again = RpcError.from_xml(element)
    assert (again.app_tag, again.path) == (error.app_tag, error.path)
    assert again.path_namespaces == {"if": "urn:if"}


def test_a_name_of_another_namespace_is_a_qname_with_its_own_prefix() -> None:
    info = RpcError.missing_element("{urn:x}leaf").to_xml().find(f".//{names.base('bad-element')}")
    assert info is not None
    assert info.text == "x:leaf"
    assert info.nsmap["x"] == "urn:x"


def test_text_that_xml_cannot_carry_is_replaced() -> None:
    error = RpcError.operation_failed("a\x00b\ud800c\U0001f600")
    assert RpcError.from_xml(error.to_xml()).message == "a\ufffdb\ufffdc\U0001f600"


def test_the_same_error_can_be_sent_twice() -> None:
    error = RpcError.lock_denied(3, "locked")
    assert etree.tostring(error.to_xml()) == etree.tostring(error.to_xml())
    assert error.info_text("session-id") == "3"
    assert error.info_text("bad-element") is None


def test_what_a_foreign_peer_leaves_out_or_invents_is_kept() -> None:
    content = "<error-tag> made-up </error-tag><error-type>odd</error-type>"
    element = etree.fromstring(f'<rpc-error xmlns="{names.BASE}">{content}</rpc-error>')
    error = RpcError.from_xml(element)
    assert (error.tag, error.error_type, error.severity) == ("made-up", "odd", Severity.ERROR)
    assert RpcError.from_xml(etree.Element(names.RPC_ERROR)).tag == ErrorTag.OPERATION_FAILED


def test_several_errors_of_a_reply_are_one_exception_and_warnings_are_none() -> None:
    warning = RpcError(ErrorTag.OPERATION_FAILED, "hm", severity=Severity.WARNING)
    first, second = RpcError.in_use("a"), RpcError.in_use("b")
    assert first_error([warning]) is None
    assert first_error([warning, first, second]) is first
    assert first.all == (first, second)
    assert "1 more" in str(first)
    assert len(first.to_elements()) == 2


def test_the_text_says_what_and_where() -> None:
    error = RpcError.bad_element("mtu", path="/a/b")
    assert str(error) == "protocol bad-element at /a/b [bad-element: mtu]: element 'mtu' has a wrong value"
