"""What the loaded modules are: for get-schema, the YANG library and monitoring."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyang import statements

    from rui.schema.modelset import ModelSet


class Conformance(StrEnum):
    """RFC 7895 section 2.2: nodes of the module exist here, or it only lends types and groupings."""

    IMPLEMENT = "implement"
    IMPORT = "import"


@dataclass(frozen=True, slots=True)
class SubmoduleInfo:
    """One submodule of a module, with its whole text."""

    name: str
    revision: str
    source: str


@dataclass(frozen=True, slots=True)
class ModuleInfo:
    """One loaded module. `revision` may be ""; `features` are the enabled ones, sorted."""

    name: str
    revision: str
    namespace: str
    prefix: str
    conformance: Conformance
    features: tuple[str, ...]
    deviations: tuple[str, ...]
    submodules: tuple[SubmoduleInfo, ...]
    source: str


def describe_modules(
    model: ModelSet, implemented: Collection[str], features: Mapping[str, Collection[str]]
) -> tuple[ModuleInfo, ...]:
    """Describe every module of the set, by name; submodules stand in their modules."""
    deviating = _deviating(model)
    described = []
    for name, module in sorted(model.modules.items()):
        if module.keyword != "module":
            continue
        known = module.i_features
        described.append(
            ModuleInfo(
                name=name,
                revision=_revision(module),
                namespace=module.search_one("namespace").arg,
                prefix=module.search_one("prefix").arg,
                conformance=Conformance.IMPLEMENT if name in implemented else Conformance.IMPORT,
                features=tuple(sorted(feature for feature in features.get(name, ()) if feature in known)),
                deviations=tuple(sorted(deviating.get(name, ()))),
                submodules=tuple(
                    SubmoduleInfo(
                        include.arg, _revision(model.modules[include.arg]), _text(model, include.arg)
                    )
                    for include in module.search("include")
                ),
                source=_text(model, name),
            )
        )
    return tuple(described)


def _text(model: ModelSet, name: str) -> str:
    return model.file(name).read_text(encoding="utf-8")


def _revision(module: statements.Statement) -> str:
    return max((revision.arg for revision in module.search("revision")), default="")


def _deviating(model: ModelSet) -> dict[str, set[str]]:
    """Map each module to the modules that deviate it."""
    found: dict[str, set[str]] = {}
    for name, module in model.modules.items():
        for deviation in module.search("deviation"):
            prefix = deviation.arg.lstrip("/").partition(":")[0]
            target = module.i_prefixes.get(prefix, (module.arg,))[0]
            found.setdefault(target, set()).add(name)
    return found
