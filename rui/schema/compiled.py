"""What a set of modules comes to, kept beside our bytecode so that the next start need not read YANG again.

To read the modules of a router takes pyang longer than everything else of a start. What is kept is trusted
as the bytecode in the same folder is, and holds for exactly the modules, features, code and libraries that it
was made of: else, or where it is damaged, the modules are read anew.
"""

import copyreg
import hashlib
import io
import pickle
import sys
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType

from rui.schema.library import ModuleInfo
from rui.schema.libyang import LibyangContext
from rui.schema.tree import Tree

_HERE = Path(__file__).resolve().parent
_DIGEST = hashlib.sha256


@dataclass(frozen=True)
class Texts:
    """The modules by name as libyang is to read them: for data, for requests and for replies."""

    data: Mapping[str, str]
    requests: Mapping[str, str]
    replies: Mapping[str, str]


@dataclass(frozen=True)
class Compiled:
    """What pyang found out about a set of modules."""

    tree: Tree
    modules: tuple[ModuleInfo, ...]
    texts: Texts


def make_context(
    texts: Mapping[str, str], names: Sequence[str], features: Mapping[str, Collection[str]]
) -> LibyangContext:
    """Compile the named modules of a set with libyang. Raises SchemaError."""
    with tempfile.TemporaryDirectory(prefix="rui-schema-") as scratch:
        for name, text in texts.items():
            Path(scratch, f"{name}.yang").write_text(text, encoding="utf-8")
        return LibyangContext(Path(scratch), names, features)


class Kept:
    """The place of one set, by a name that no other has; `files` are all that its modules may be in."""

    def __init__(
        self,
        name: str,
        names: Sequence[str],
        files: Mapping[str, Path],
        features: Mapping[str, Collection[str]],
        folder: Path = _HERE / "__pycache__",
    ) -> None:
        self._file = folder / f"{name}.{sys.implementation.cache_tag}.compiled"
        digest = _DIGEST(repr((sys.version, version("pyang"), tuple(names))).encode())
        digest.update(repr({module: tuple(of) for module, of in features.items()}).encode())
        code = {path.name: path for path in _HERE.glob("*.py")}
        for known, path in (*sorted(code.items()), *sorted(files.items())):
            content = path.read_bytes()
            digest.update(f"{known} {len(content)} ".encode() + content)
        self._made_of = digest.digest()

    def read(self) -> Compiled | None:
        """Return what was kept, None where that is of something else or not whole."""
        try:
            content = self._file.read_bytes()
        except OSError:
            return None
        size = len(self._made_of)
        made_of, check, body = content[:size], content[size : 2 * size], content[2 * size :]
        if made_of != self._made_of or check != _DIGEST(body).digest():
            return None
        found = pickle.loads(body)  # noqa: S301 - as trusted as the bytecode beside it
        return found if isinstance(found, Compiled) else None

    def write(self, compiled: Compiled) -> None:
        """Keep this, unless Python is told to keep nothing or the folder is not ours to write in."""
        if sys.dont_write_bytecode:
            return
        body = _pickled(compiled)
        try:
            self._file.parent.mkdir(exist_ok=True)
            # As a whole or not at all: others may read or write it at this moment
            with tempfile.NamedTemporaryFile(dir=self._file.parent, delete=False) as new:
                new.write(self._made_of + _DIGEST(body).digest() + body)
            kept = Path(new.name)
            kept.chmod(0o644)
            kept.replace(self._file)
        except OSError:
            return


def _pickled(compiled: Compiled) -> bytes:
    target = io.BytesIO()
    pickler = pickle.Pickler(target, protocol=5)
    pickler.dispatch_table = copyreg.dispatch_table.copy()
    pickler.dispatch_table[MappingProxyType] = lambda proxy: (_proxy, (dict(proxy),))
    pickler.dump(compiled)
    return target.getvalue()


def _proxy(mapping: dict[object, object]) -> MappingProxyType[object, object]:
    """The class itself has no name that pickle would find it by."""
    return MappingProxyType(mapping)
