import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rui.schema import Schema, router_schema, yang_directory
from rui_cli.errors import CliError
from rui_cli.model import app
from rui_cli.modelrun import RECORD_LIST, sample_record

COLOR = """module acme-color {
  yang-version 1.1;
  namespace "urn:acme:color";
  prefix ac;

  import rui-user-info {
    prefix ui;
  }
%s
  organization
    "Acme";
  contact
    "color@acme.example";
  description
    "A color for each user.";

  revision 2026-11-23 {
    description
      "Initial revision.";
    reference
      "Acme's catalogue";
  }

  augment "/ui:user-info/ui:group/ui:user" {
    description
      "What Acme keeps of a user.";
    leaf color {
      %s
      description
        "The user's color.";%s
    }
  }
}
"""


STRING = """type string {
        length "3..8";
      }"""
STRNG = "type strng;"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "models"
    path.mkdir()
    return path


def add_color(folder: Path, kind: str = STRING, more: str = "", imports: str = "") -> Path:
    path = folder / "acme-color.yang"
    path.write_text(COLOR % (imports, kind, more), encoding="utf-8")
    return path


def run(*words: str) -> tuple[int, dict[str, Any]]:
    result = CliRunner().invoke(app, ["check", "--json", *words])
    if isinstance(result.exception, CliError):
        raise result.exception
    return result.exit_code, json.loads(result.stdout)


def test_our_own_modules_have_no_findings() -> None:
    code, report = run()
    assert (code, report["findings"], report["ok"]) == (0, [], True)
    assert "rui-user-info" in report["modules"]


def test_an_augment_is_carried_through_every_hop_with_no_code_changed(folder: Path) -> None:
    add_color(folder)
    assert run("--yang", str(folder)) == (0, {"ok": True, "modules": ["acme-color"], "findings": []})
    with_color = router_schema((folder,))
    record = sample_record(with_color)
    assert b'<color xmlns="urn:acme:color">' in record
    for schema in (with_color, Schema.load(["rui-user-info"])):
        assert schema.records(RECORD_LIST).check(["g"], [record]) == []


def test_a_broken_module_is_reported_with_file_line_and_remedy(folder: Path) -> None:
    path = add_color(folder, STRNG)
    line = path.read_text(encoding="utf-8").splitlines().index(f"      {STRNG}") + 1
    code, report = run("--yang", str(folder))
    assert code == 1
    (finding,) = report["findings"]
    assert (finding["file"], finding["line"], finding["step"]) == (str(path), line, "lint")
    assert 'type "strng" not found' in str(finding["message"])
    assert "import the module" in str(finding["remedy"])


def test_findings_are_readable_too(folder: Path) -> None:
    path = add_color(folder, STRNG)
    result = CliRunner().invoke(app, ["check", "--yang", str(folder)])
    assert result.exit_code == 1
    assert f"{path}:" in result.stdout
    assert "remedy: " in result.stdout
    assert "1 modules checked: 1 findings" in result.stdout


def test_a_local_node_must_not_travel(folder: Path) -> None:
    imports = "  import rui-types {\n    prefix rt;\n  }\n"
    add_color(folder, more="\n      rt:local;", imports=imports)
    code, report = run("--yang", str(folder))
    assert code == 1
    assert [finding["message"] for finding in report["findings"]] == [
        f"{RECORD_LIST}/acme-color:color is marked rui-types:local and would travel with the record"
    ]


def test_a_release_may_only_be_added_to(folder: Path, tmp_path: Path) -> None:
    release = tmp_path / "release"
    shutil.copytree(yang_directory(), release)
    shutil.copytree(yang_directory(), folder, dirs_exist_ok=True)
    changed = folder / "rui-types.yang"
    text = changed.read_text(encoding="utf-8").replace("enum degraded {", "enum worn {")
    newer = 'revision 2027-01-01 {\n    description\n      "Next.";\n    reference\n      "Next";\n  }\n\n  '
    text = text.replace("revision 2026-11-23 {", newer + "revision 2026-11-23 {")
    changed.write_text(text, encoding="utf-8")
    (folder / "rui-link-status.yang").unlink()
    code, report = run("--yang", str(folder), "--baseline", str(release))
    updates = [finding for finding in report["findings"] if finding["step"] == "update"]
    assert code == 1
    assert any("degraded" in str(finding["message"]) for finding in updates)
    assert any("rui-link-status of the release is gone" in str(finding["message"]) for finding in updates)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="nowhere is not a folder"):
        run("--yang", str(tmp_path / "nowhere"))
    with pytest.raises(CliError, match="no YANG modules"):
        run("--yang", str(tmp_path))


@pytest.mark.parametrize(
    "words", [["a b"], ["9x"], ["x", "--module", "a/../b"], ["x", "--description", 'a"b']]
)
def test_new_augment_refuses_what_is_no_name_or_would_end_its_quotes(
    words: list[str], tmp_path: Path
) -> None:
    made = CliRunner().invoke(app, ["new-augment", *words, "--yang", str(tmp_path / "own")])
    assert isinstance(made.exception, CliError)
    assert not list(tmp_path.rglob("*.yang"))


def test_an_edit_that_would_drop_data_is_refused_with_its_line(folder: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.mkdir()
    (old / "acme-color.yang").write_text(COLOR % ("", STRING, ""))
    narrowed = COLOR.replace("2026-11-23", "2026-11-24") % ("", "type uint8;", "")
    (folder / "acme-color.yang").write_text(narrowed)
    shown = CliRunner().invoke(app, ["diff", "--yang", str(folder), "--baseline", str(old), "--json"])
    assert shown.exit_code == 1
    report = json.loads(shown.output)
    assert report["changes"][0]["sign"] == "~"
    assert "type: string" in report["changes"][0]["what"]
    line = narrowed.splitlines().index("    leaf color {") + 2
    assert [(found["step"], found["line"]) for found in report["findings"]] == [("update", line)]


def test_new_augment_does_not_write_over_a_module(tmp_path: Path) -> None:
    (tmp_path / "own-shelf.yang").write_text("mine")
    made = CliRunner().invoke(app, ["new-augment", "shelf", "--yang", str(tmp_path)])
    assert isinstance(made.exception, CliError)
    assert (tmp_path / "own-shelf.yang").read_text() == "mine"
