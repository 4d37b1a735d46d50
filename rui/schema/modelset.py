"""pyang's side: parse and validate a set of modules, with every finding as file, line and reason."""

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from pyang import context, error, repository, statements, yang_parser

from rui.schema.errors import ModuleProblem, SchemaError


class _Files(repository.Repository):  # type: ignore[misc]
    """A pyang repository over files that were found already: one file a module, no environment variables."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        super().__init__()
        self._files = files

    def get_modules_and_revisions(self, _ctx: object) -> list[tuple[str, None, tuple[str, str]]]:
        return [(name, None, ("yang", str(path))) for name, path in self._files.items()]

    def get_module_from_handle(self, handle: tuple[str, str]) -> tuple[str, str, str]:
        form, path = handle
        try:
            return path, form, Path(path).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as cause:
            raise self.ReadError(f"{path}: {cause}") from cause


class ModelSet:
    """The validated statements of the requested modules and of all that they import.

    `requested` are module names; `features` the enabled features by module (a module not named has none).
    Raises SchemaError with all errors that pyang finds; warnings are left to `rui model check`.
    """

    def __init__(
        self, requested: Iterable[str], files: Mapping[str, Path], features: Mapping[str, Collection[str]]
    ) -> None:
        self._files = files
        self.context = context.Context(_Files(files))
        self.context.features = {name: list(features.get(name, ())) for name in files}
        missing = []
        for name in requested:
            if name not in files:
                missing.append(ModuleProblem(f"{name}.yang", 0, "no such module in the folders searched"))
            else:
                self.context.search_module(None, name)
        if missing:
            raise SchemaError(tuple(missing))
        self.context.validate()
        problems = tuple(self.problems(errors_only=True))
        if problems:
            raise SchemaError(problems)

    def problems(self, *, errors_only: bool) -> list[ModuleProblem]:
        """Return pyang's findings in file and line order."""
        return findings(self.context, errors_only=errors_only)

    @property
    def modules(self) -> dict[str, statements.Statement]:
        """The modules and submodules of the set by name."""
        return {name: module for (name, _), module in self.context.modules.items() if module is not None}

    def as_written(self, name: str) -> statements.Statement:
        """Return a module's statements as its file has them: validation applies deviations to them."""
        module = self.modules[name]
        if not any(other.search("deviation") for other in self.modules.values()):
            return module
        text = self.file(name).read_text(encoding="utf-8")
        return yang_parser.YangParser().parse(context.Context(_Files({})), str(self.file(name)), text)

    def file(self, name: str) -> Path:
        """Return the file of a module or submodule of the set."""
        return self._files[name]


def findings(ctx: context.Context, *, errors_only: bool) -> list[ModuleProblem]:
    """Return what a pyang context has collected, sorted by file and line, without repetitions."""
    found = set()
    for position, code, arguments in ctx.errors:
        if errors_only and not error.is_error(error.err_level(code)):
            continue
        file = position.ref if position is not None else "(no file)"
        line = position.line if position is not None else 0
        found.add(ModuleProblem(file, line, error.err_to_str(code, arguments), code))
    return sorted(found, key=lambda problem: (problem.file, problem.line, problem.message))
