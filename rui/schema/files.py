"""Where module files are: our own folder, pyang's installed IETF modules, folders that the caller names."""

import re
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from rui.schema.errors import ModuleProblem, SchemaError

_FILE_NAME = re.compile(r"([A-Za-z_][\w.-]*?)(?:@(\d{4}-\d\d-\d\d))?\.yang")
# A file that only an installation with the IETF modules has; its folder's parent holds `ietf` and `iana`.
_LANDMARK = "ietf-inet-types.yang"


def yang_directory() -> Path:
    """Return the folder of our own modules, in an installed wheel as well as in a checkout.

    Raises SchemaError when neither is there (a broken installation).
    """
    here = Path(__file__).resolve().parent
    for candidate in (here / "yang", here.parents[1] / "yang"):
        if candidate.is_dir():
            return candidate
    raise SchemaError(
        (ModuleProblem(str(here / "yang"), 0, "our modules are missing: install rui-cloud again"),)
    )


def installed_directories() -> tuple[Path, ...]:
    """Return pyang's folders of IETF and IANA modules, found through its distribution (in any venv)."""
    try:
        files = distribution("pyang").files or ()
    except PackageNotFoundError:
        files = ()
    for file in files:
        if file.name == _LANDMARK:
            ietf = Path(str(file.locate())).resolve().parent
            return (ietf, ietf.parent / "iana")
    raise SchemaError((ModuleProblem(_LANDMARK, 0, "pyang's IETF modules are missing: install pyang again"),))


def find_modules(directories: Iterable[Path]) -> dict[str, Path]:
    """Return the file of each module and submodule by name.

    The first folder that has a name wins, so that a caller's folder can stand before ours; inside a folder
    the latest revision of `NAME@REVISION.yang` does. Raises SchemaError for a folder that is not there.
    """
    found: dict[str, Path] = {}
    for directory in directories:
        if not directory.is_dir():
            raise SchemaError((ModuleProblem(str(directory), 0, "no such folder of YANG modules"),))
        here: dict[str, tuple[str, Path]] = {}
        for path in sorted(directory.glob("*.yang")):
            match = _FILE_NAME.fullmatch(path.name)
            if match is None:
                continue
            name, revision = match[1], match[2] or ""
            if name not in here or revision >= here[name][0]:
                here[name] = (revision, path)
        for name, (_, path) in here.items():
            found.setdefault(name, path)
    return found


def module_names(directory: Path) -> Sequence[str]:
    """Return the names of the module files in one folder, sorted."""
    return sorted(find_modules((directory,)))
