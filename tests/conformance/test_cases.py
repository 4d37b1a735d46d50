"""The recorded cases of ``cases/``: a folder each, named after the step that it shows.

``case.xml`` says which core is driven and why; ``NN-input-*.xml`` goes in; ``NN-output.xml`` is all that
comes out, and a missing one asserts silence. RUI_REGENERATE=1 in the environment writes them anew;
read the difference before you commit it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lxml import etree

from rui.schema import Schema
from tests.conformance.nodes import attributes_of, node

CASES = Path(__file__).parent / "cases"
REGENERATE = os.environ.get("RUI_REGENERATE") == "1"
PARSER = etree.XMLParser(remove_blank_text=True, resolve_entities=False)


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema.load(["rui-identity", "rui-backup", "rui-user-info"])


def written(outputs: list[etree._Element]) -> str:
    root = etree.Element("outputs")
    root.extend(outputs)
    root = etree.fromstring(etree.tostring(root), PARSER)
    etree.indent(root)
    return etree.tostring(root, encoding="unicode") + "\n"


@pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))
def test_case(case: str, schema: Schema) -> None:
    folder = CASES / case
    about = etree.parse(folder / "case.xml", PARSER).getroot()
    core = node(about.tag, attributes_of(about), schema)
    inputs = sorted(folder.glob("[0-9][0-9]-input-*.xml"))
    assert inputs, f"{case} has no inputs"
    seen = set()
    for path in inputs:
        step = etree.parse(path, PARSER).getroot()
        now = float(step.attrib.pop("now", "0"))
        outputs = list(core.take(step, now))
        expected = folder / f"{path.name[:2]}-output.xml"
        seen.add(expected.name)
        if REGENERATE:
            expected.unlink(missing_ok=True)
            if outputs:
                expected.write_text(written(outputs))
            continue
        found = written(outputs) if outputs else ""
        assert found == (expected.read_text() if expected.exists() else ""), f"{case}, after {path.name}"
    strays = {path.name for path in folder.glob("*-output.xml")} - seen
    assert not strays, f"{case}: outputs without an input: {strays}"


def test_every_step_of_the_normal_path_has_a_case() -> None:
    names = " ".join(path.name for path in CASES.iterdir())
    for step in ("s402", "s403", "s501", "s502", "s503", "s504"):
        assert step in names, f"no case shows {step.upper()}"
