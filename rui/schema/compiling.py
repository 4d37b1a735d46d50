"""From the files of a set of modules to what they come to: pyang reads and validates, libyang compiles."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from rui.schema.build import build_tree
from rui.schema.compiled import Compiled, Texts, make_context
from rui.schema.library import describe_modules
from rui.schema.libyang import LibyangContext
from rui.schema.modelset import ModelSet
from rui.schema.operations import Direction, write_operations
from rui.schema.reach import served


def compile_modules(
    names: Sequence[str], files: Mapping[str, Path], features: Mapping[str, Collection[str]]
) -> tuple[Compiled, LibyangContext]:
    """Read and validate the named modules and all that they import; return the checker of data as well.

    Raises SchemaError with every error.
    """
    model = ModelSet(names, files, features)
    texts = Texts(
        {name: model.file(name).read_text(encoding="utf-8") for name in model.modules},
        _operations(model, Direction.REQUEST),
        _operations(model, Direction.REPLY),
    )
    data = make_context(texts.data, names, features)
    implemented = served(names, data.implemented(model.modules), model.modules)
    tree = build_tree(model.modules, implemented)
    return Compiled(tree, describe_modules(model, implemented, features), texts), data


def _operations(model: ModelSet, direction: Direction) -> dict[str, str]:
    """Write the set as operations: libyang sees what pyang took."""
    return {
        name: write_operations(module, model.as_written(name), model.modules, direction)
        for name, module in model.modules.items()
    }
