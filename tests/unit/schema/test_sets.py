from pathlib import Path

from rui.schema import Schema, manager_schema, router_schema, yang_directory
from rui.schema.sample import sample_element, sample_value
from rui.schema.tree import TypeSpec
from tests.unit.schema.test_load import AUGMENT, write

LATER = (
    'module rui-later { yang-version 1.1; namespace "urn:later"; prefix l; import rui-device { prefix rd; } '
    'augment "/rd:device/rd:group/rd:role-source" { case negotiated { container vrrp { presence "on"; '
    "leaf priority { type uint8; default 100; } } } } }"
)


def names(schema: Schema) -> set[str]:
    return {module.name for module in schema.modules if module.conformance == "implement"}


def building_on(module: str) -> set[str]:
    """Return the module and those of ours that import it."""
    texts = {path.stem: path.read_text() for path in yang_directory().glob("*.yang")}
    return {module} | {name for name, text in texts.items() if f"import {module} " in text}


def test_router_and_manager_have_one_configuration_each(router: Schema, manager: Schema) -> None:
    ours = {name for name in names(router) - names(manager) if name.startswith("rui-")}
    assert ours == building_on("rui-device") > {"rui-device", "rui-vrrp"}
    assert names(manager) - names(router) == building_on("rui-cloud")


def test_a_new_module_is_loaded_where_it_belongs(folder: Path) -> None:
    write(folder, "acme-color", AUGMENT)
    write(folder, "rui-later", LATER)
    router, manager = router_schema((folder,)), manager_schema((folder,))
    assert {"acme-color", "rui-later"} <= names(router)
    assert "acme-color" in names(manager)
    assert "rui-later" not in names(manager)
    router.check_config(
        b'<device xmlns="urn:rui-cloud:yang:device"><device-id>a</device-id><group><id>g</id>'
        b'<vrrp xmlns="urn:later"/></group></device>'
    )


def test_samples_are_valid(router: Schema) -> None:
    user = router.node("/rui-user-info:user-info/group/user")
    taken = {node.name: text for node in user.children.values() if (text := sample_element(node)) is not None}
    assert {"state", "lease-time", "address-pool", "option-82", "session-type"} <= taken.keys()
    key = b"<mac-address>02:00:00:00:00:01</mac-address><outer-vlan>0</outer-vlan><inner-vlan>0</inner-vlan>"
    rest = "".join(text for name, text in taken.items() if name not in user.keys)
    record = b'<user xmlns="urn:rui-cloud:yang:user-info">' + key + rest.encode() + b"</user>"
    assert router.records(user.path).check(["g"], [record]) == []


def test_what_cannot_be_invented_is_left_out() -> None:
    assert sample_value(TypeSpec("leafref", "leafref", path="/a")) is None
    assert sample_value(TypeSpec("string", "string", patterns=("[0-9]+",))) is None
    assert sample_value(TypeSpec("string", "string", patterns=(r"\p{L}+",))) is None
    assert sample_value(TypeSpec("string", "string", lengths=(("8", "9"),))) == "samplexx"
    assert (
        sample_value(
            TypeSpec("u", "union", members=(TypeSpec("leafref", "leafref"), TypeSpec("b", "boolean")))
        )
        == "true"
    )
