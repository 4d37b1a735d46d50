from pathlib import Path

import pytest

from rui.schema import DataError, Schema, SchemaError

AUGMENT = """module acme-color {
  yang-version 1.1;
  namespace "urn:acme:color";
  prefix ac;
  import rui-user-info { prefix ui; }
  import rui-backup { prefix rb; }
  augment "/ui:user-info/ui:group/ui:user" {
    leaf color { type enumeration { enum red; enum blue; } }
  }
  augment "/rb:deliver-user-info/rb:input" {
    leaf hurry { type empty; }
  }
  augment "/rb:deliver-user-info/rb:output" {
    leaf heat { type uint8 { range "0..100"; } mandatory true; }
  }
  augment "/rb:user-info-upload" {
    leaf mood { type string { length "1..8"; } }
  }
}
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / f"{name}.yang"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_missing_module_is_named() -> None:
    with pytest.raises(SchemaError, match=r"no-such\.yang: no such module"):
        Schema.load(["no-such"])


def test_a_missing_import_is_named_with_its_line(folder: Path) -> None:
    path = write(
        folder,
        "lone",
        'module lone {\n  namespace "urn:lone";\n  prefix l;\n  import gone { prefix g; }\n}\n',
    )
    with pytest.raises(SchemaError) as caught:
        Schema.load(["lone"], [folder])
    assert caught.value.problems[0].file == str(path)
    assert caught.value.problems[0].line == 4
    assert '"gone" not found' in caught.value.problems[0].message


@pytest.mark.parametrize(
    ("body", "line", "reason"),
    [
        ("leaf x { type strng; }", 4, 'type "strng" not found'),
        ("leaf x { type string; ", 5, "premature end of file"),
        ('list x { key "a"; leaf b { type string; } }', 4, "key"),
        ('leaf x { type uint8 { range "5..1"; } }', 4, "range"),
    ],
)
def test_a_broken_module_is_reported_with_file_and_line(
    folder: Path, body: str, line: int, reason: str
) -> None:
    path = write(
        folder, "broken", f'module broken {{\n  namespace "urn:broken";\n  prefix b;\n  {body}\n}}\n'
    )
    with pytest.raises(SchemaError) as caught:
        Schema.load(["broken"], [folder])
    first = caught.value.problems[0]
    assert (first.file, first.line) == (str(path), line)
    assert reason in str(caught.value)


def test_what_libyang_alone_refuses_is_reported_too(folder: Path) -> None:
    write(
        folder,
        "odd",
        'module odd { yang-version 1.1; namespace "urn:odd"; prefix o; leaf x { type string '
        "{ pattern '[b-a]'; } } }",
    )
    with pytest.raises(SchemaError, match="odd"):
        Schema.load(["odd"], [folder])


def test_submodules_belong_to_their_module(folder: Path) -> None:
    write(folder, "main", 'module main { yang-version 1.1; namespace "urn:m"; prefix m; include part; }')
    write(
        folder,
        "part",
        "submodule part { yang-version 1.1; belongs-to main { prefix m; } revision 2026-01-01;"
        " container c { leaf x { type uint8; } }"
        " rpc go { input { leaf y { type uint8; mandatory true; } } } }",
    )
    schema = Schema.load(["main"], [folder])
    assert schema.node("/main:c/x").namespace == "urn:m"
    (module,) = [module for module in schema.modules if module.name == "main"]
    assert [(part.name, part.revision) for part in module.submodules] == [("part", "2026-01-01")]
    assert (schema.source("part") or "").startswith("submodule part")
    schema.check_rpc(b'<go xmlns="urn:m"><y>1</y></go>')


def test_features_decide_what_exists(folder: Path) -> None:
    write(
        folder,
        "opt",
        'module opt { yang-version 1.1; namespace "urn:opt"; prefix o; feature f; '
        "container c { leaf x { if-feature f; type uint8; } } }",
    )
    data = b'<c xmlns="urn:opt"><x>1</x></c>'
    with_feature = Schema.load(["opt"], [folder], features={"opt": ["f"]})
    with_feature.check_config(data)
    assert with_feature.node("/opt:c").child("x") is not None
    without = Schema.load(["opt"], [folder])
    assert without.node("/opt:c").child("x") is None
    with pytest.raises(Exception, match='"x" not found'):
        without.check_config(data)


def test_a_callers_folder_stands_before_ours(folder: Path) -> None:
    write(
        folder,
        "rui-types",
        'module rui-types { namespace "urn:mine"; prefix rt; typedef t { type string; } }',
    )
    schema = Schema.load(["rui-types"], [folder])
    assert [module.namespace for module in schema.modules if module.name == "rui-types"] == ["urn:mine"]


def test_deviations_hold_for_data_and_for_operations(folder: Path) -> None:
    write(
        folder,
        "base",
        'module base { yang-version 1.1; namespace "urn:base"; prefix b; '
        "container c { leaf x { type uint8; } leaf gone { type string; } } "
        "rpc go { input { leaf y { type uint8; } leaf z { type string; } } } }",
    )
    write(
        folder,
        "acme-base-deviations",
        'module acme-base-deviations { yang-version 1.1; namespace "urn:abd"; prefix abd; '
        "import base { prefix b; } "
        'deviation "/b:c/b:gone" { deviate not-supported; } '
        'deviation "/b:go/b:input/b:z" { deviate not-supported; } '
        'deviation "/b:go/b:input/b:y" { deviate add { mandatory true; } } }',
    )
    schema = Schema.load(["base", "acme-base-deviations"], [folder])
    (base,) = [module for module in schema.modules if module.name == "base"]
    assert base.deviations == ("acme-base-deviations",)
    assert schema.node("/base:c").child("gone") is None
    schema.check_rpc(b'<go xmlns="urn:base"><y>1</y></go>')
    with pytest.raises(DataError, match='"y"'):
        schema.check_rpc(b'<go xmlns="urn:base"/>')
    with pytest.raises(DataError, match='"z" not found'):
        schema.check_rpc(b'<go xmlns="urn:base"><y>1</y><z>1</z></go>')
