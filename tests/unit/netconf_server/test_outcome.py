"""Small edits, of which the model is asked only what they may concern, have the outcome of a whole check."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from lxml import etree

from netconf_server.capabilities import load_schema
from netconf_server.change import RUNNING
from netconf_server.edit import Operation
from netconf_server.outcome import Checks, Edit, work_out
from netconf_server.persist import empty_config
from rui.netconf import names
from rui.netconf.errors import RpcError

EDITS = 250
MODEL = """
module related { yang-version 1.1; namespace "urn:related"; prefix a;
  container top {
    list e {
      key k; unique "u"; unique "in/v";
      leaf k { type uint8; } leaf u { type string; }
      leaf r { type leafref { path "../../e/k"; } }
      container in {
        leaf v { type uint8; must ". != 3 or ../../u"; }
        leaf need { when "../v"; type string; mandatory true; }
      }
      leaf-list q { type uint8; max-elements 2; }
    }
    leaf mu { type uint8; must "not(../cap) or . <= ../cap"; } leaf cap { type uint8; }
    leaf un { type union { type uint8; type enumeration { enum auto; } } }
    leaf w { when "../un = 'auto'"; type string; default d; } leaf ww { when "../w"; type uint8; }
    leaf ref { type leafref { path "/a:top/a:e/a:k"; } must "count(/a:top/a:e) < 4"; }
    leaf ref2 { type leafref { path "/a:top/a:e[a:k=current()/../a:ref]/a:u"; } }
    leaf iid { type instance-identifier; }
    choice c {
      case one { leaf c1 { type uint8; } leaf c1m { when "../cap"; type uint8; } }
      case two { container c2 { presence "it is"; leaf z { type uint8; mandatory true; } } }
    }
    container there {
      presence "it is"; leaf m { type uint8; mandatory true; }
      choice one { mandatory true; leaf a1 { type uint8; } leaf a2 { type uint8; } }
    }
    leaf-list ll { type uint8 { range "0..5"; } max-elements 3; must "not(. = 4) or count(../ll) > 1"; }
    leaf def { type uint8; default 7; must ". != 9 or ../cap"; }
  }
  container side {
    leaf lim { type uint8; must ". >= count(/a:top/a:e)"; } leaf s { type leafref { path "/a:top/a:mu"; } }
  }
}
"""


class Author:
    """Writes edits at random."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        leafs = {
            "mu": 9,
            "cap": 9,
            "w": 9,
            "ww": 9,
            "ref": 4,
            "ref2": 1,
            "c1": 1,
            "c1m": 1,
            "ll": 5,
            "def": 9,
        }
        self._parts: list[Callable[[], str]] = [
            *(self._leaf_writer(name, most) for name, most in leafs.items()),
            *[self._entry] * 4,
            lambda: self._leaf("un", self.dice.choice(["auto", "3"])),
            lambda: self._leaf("iid", f"/a:top/a:e[a:k='{self._number(4)}']"),
            lambda: self._holder("c2", self._maybe("z", 0.8)),
            lambda: self._holder(
                "there", self._maybe("m", 0.7) + self._maybe("a1", 0.6) + self._maybe("a2", 0.2)
            ),
        ]

    def edit(self) -> bytes:
        """An edit of one to three nodes."""
        inner = "".join(self.dice.choice(self._parts)() for _ in range(self.dice.choice([1, 1, 1, 2, 3])))
        side = self._holder("side", self._leaf("lim", self._number(5)) + self._maybe("s", 0.5))
        tops = self._holder("top", inner, rare=True) + (side if self.dice.random() < 0.1 else "")
        tops = tops.replace("<top", '<top xmlns="urn:related" xmlns:a="urn:related"')
        tops = tops.replace("<side", '<side xmlns="urn:related"')
        return f'<config xmlns="{names.BASE}" xmlns:nc="{names.BASE}">{tops}</config>'.encode()

    def _leaf_writer(self, name: str, most: int) -> Callable[[], str]:
        return lambda: self._leaf(name, self._number(most))

    def _entry(self) -> str:
        inner = self._holder("in", self._maybe("v", 0.8) + self._maybe("need", 0.6))
        more = self._maybe("u", 0.4) + self._maybe("r", 0.3) + self._maybe("q", 0.2)
        return self._holder("e", f"<k>{self._number(4)}</k>{more}{inner if self.dice.random() < 0.3 else ''}")

    def _maybe(self, name: str, chance: float) -> str:
        return self._leaf(name, self._number(4)) if self.dice.random() < chance else ""

    def _leaf(self, name: str, value: str) -> str:
        return self._holder(name, value)

    def _holder(self, name: str, inner: str, *, rare: bool = False) -> str:
        chosen = self.dice.choice(["merge", "replace", "create", "delete", "remove"])
        asked = self.dice.random() < (0.03 if rare else 0.3)
        operation = f' nc:operation="{chosen}"' if asked else ""
        return f"<{name}{operation}>{inner}</{name}>"

    def _number(self, most: int) -> str:
        return str(self.dice.randint(0, most))


def outcome(
    base: etree._Element, edit: bytes, checks: Checks, *, told: bool
) -> tuple[object, etree._Element]:
    asked = Edit(
        RUNNING, etree.fromstring(edit), Operation.MERGE,
        continue_on_error=False, whole=True, told=told, session=None,
    )  # fmt: skip
    try:
        tree = work_out(asked, base, checks, None).change.new
    except RpcError as refused:
        return [(error.tag, error.path) for error in refused.all], base
    return etree.tostring(tree), tree


@pytest.mark.parametrize("seed", [1])
def test_the_outcome_is_that_of_a_whole_check(
    seed: int, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path_factory.mktemp("related")
    (folder / "related.yang").write_text(MODEL)
    checks, author, base = Checks(load_schema(["related"], [folder])), Author(seed), empty_config()
    taken = []
    takes = Checks.takes

    def noted(self: Checks, *arguments: object) -> bool:
        taken.append(takes(self, *arguments))  # type: ignore[arg-type]
        return taken[-1]

    monkeypatch.setattr(Checks, "takes", noted)
    for _ in range(EDITS):
        edit = author.edit()
        told, tree = outcome(base, edit, checks, told=True)
        whole, _ = outcome(base, edit, checks, told=False)
        assert told == whole, edit.decode()
        base = tree
    # both ways were gone
    assert 10 < sum(taken) < EDITS
