"""The recorded cases of ``cases/``: a folder each, named after the step that it shows.

``case.xml`` says which core is driven and why; ``NN-input-*.xml`` goes in; ``NN-output.xml`` is all that
comes out, and a missing one asserts silence. RUI_REGENERATE=1 in the environment writes them anew;
read the difference before you commit it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from lxml import etree

from rui.backup.identity import Role
from rui.schema import Schema
from tests.conformance.failover_node import FailoverNode
from tests.conformance.nodes import CloudNode, MemberNode, Node, attributes_of

CASES = Path(__file__).parent / "cases"
REGENERATE = os.environ.get("RUI_REGENERATE") == "1"
PARSER = etree.XMLParser(remove_blank_text=True, resolve_entities=False)


@pytest.fixture(scope="module")
def schema() -> Schema:
    return Schema.load(["rui-identity", "rui-backup", "rui-user-info", "rui-failover"])


def node(kind: str, attributes: Mapping[str, str], schema: Schema) -> Node:
    """Return the node that a case names: primary, secondary, cloud, or an end of an RBS channel."""
    match kind:
        case "cloud":
            return CloudNode(attributes, schema)
        case "initiator" | "informant":
            return FailoverNode(kind == "initiator", attributes, schema)
        case _:
            return MemberNode(Role(kind), attributes, schema)


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


FIGURES = {"6a": 7, "6b": 4, "7a": 5, "7b": 9, "8a": 2, "8b": 3, "9a": 2, "9b": 3}
"""How many steps each figure of the abnormal paths has."""


@pytest.mark.parametrize("figure", FIGURES)
def test_every_step_of_the_abnormal_paths_has_a_case(figure: str) -> None:
    """S601a to S903b: a folder that is named after it."""
    shown = {step for path in CASES.iterdir() for step in re.findall(r"s\d{3}[ab]", path.name)}
    steps = {f"s{figure[0]}{number:02d}{figure[1]}" for number in range(1, FIGURES[figure] + 1)}
    assert steps - shown == set()


def test_no_case_is_named_after_a_step_that_is_none() -> None:
    steps = {f"s{name[0]}{n:02d}{name[1]}" for name, count in FIGURES.items() for n in range(1, count + 1)}
    shown = {step for path in CASES.iterdir() for step in re.findall(r"s\d{3}[ab]", path.name)}
    assert shown <= steps
