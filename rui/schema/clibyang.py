"""libyang's C functions, those that `libyang` needs, called without holding Python's interpreter lock.

The wheel of oopt-gnpy-libyang brings the library, but its own calls hold the lock, so that a check of a large
configuration stops every thread. The functions are looked up through the wheel's extension module, which
has loaded the library already. What is used here of the library's interface is that of libyang 4: with
another one a context is refused.
"""

import ctypes
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import oopt_gnpy_libyang as ly

_MAJOR: Final = 4
_XML: Final = 1
# Below so many octets a check is over before another thread could take the lock; handing it over costs more.
_SHORT: Final = 32 * 1024


class LibyangError(Exception):
    """What a function of libyang returned instead of success."""


@dataclass(frozen=True, slots=True)
class Message:
    """One error of libyang; `path` is the place in the data, `line` counts from 1 and is 0 if unknown.

    `text` is None where it quotes octets that are no text.
    """

    text: str | None
    path: str
    schema_path: str
    app_tag: str | None
    line: int


class _Item(ctypes.Structure):
    """`struct ly_err_item`."""


_Item._fields_ = [
    ("level", ctypes.c_int),
    ("code", ctypes.c_int),
    ("validation", ctypes.c_int),
    ("text", ctypes.c_char_p),
    ("data_path", ctypes.c_char_p),
    ("schema_path", ctypes.c_char_p),
    ("line", ctypes.c_uint64),
    ("app_tag", ctypes.c_char_p),
    ("next", ctypes.POINTER(_Item)),
    ("previous", ctypes.POINTER(_Item)),
]


class _Functions:
    """The functions with their types, from a library that keeps the interpreter lock or one that does not."""

    def __init__(self, library: ctypes.CDLL) -> None:
        pointer, text, uint = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_uint32
        self.new = library.ly_ctx_new
        self.new.argtypes = (text, uint, ctypes.POINTER(pointer))
        self.destroy = library.ly_ctx_destroy
        self.destroy.argtypes, self.destroy.restype = (pointer,), None
        self.load = library.ly_ctx_load_module
        self.load.argtypes = (pointer, text, text, ctypes.POINTER(text))
        self.load.restype = pointer
        self.implemented = library.ly_ctx_get_module_implemented
        self.implemented.argtypes, self.implemented.restype = (pointer, text), pointer
        self.parse = library.lyd_parse_data_mem
        self.parse.argtypes = (pointer, text, ctypes.c_int, uint, uint, ctypes.POINTER(pointer))
        self.print = library.lyd_print_mem
        self.print.argtypes = (ctypes.POINTER(pointer), pointer, ctypes.c_int, uint)
        self.free = library.lyd_free_all
        self.free.argtypes, self.free.restype = (pointer,), None
        self.first = library.ly_err_first
        self.first.argtypes, self.first.restype = (pointer,), ctypes.POINTER(_Item)
        self.clean = library.ly_err_clean
        self.clean.argtypes, self.clean.restype = (pointer, pointer), None


_BRIEF: Final = _Functions(ctypes.PyDLL(ly.__file__))
_LONG: Final = _Functions(ctypes.CDLL(ly.__file__))
_release = ctypes.CDLL(None).free
_release.argtypes, _release.restype = (ctypes.c_void_p,), None


class Context:
    """A set of modules; what was loaded may be used by several threads at once, loading may not.

    Each thread has messages of its own. Raises LibyangError.
    """

    def __init__(self, directory: str, options: int) -> None:
        if ly.libyang_version_info()[0] != _MAJOR:
            raise LibyangError(
                f"libyang is {ly.libyang_version()}, not {_MAJOR}; install requirements.lock's wheel"
            )
        handle = ctypes.c_void_p()
        _check(_BRIEF.new(directory.encode(), options, ctypes.byref(handle)))
        self._handle = handle
        weakref.finalize(self, _BRIEF.destroy, handle).atexit = False

    def load(self, name: str, features: Sequence[str]) -> None:
        """Read and implement a module with these features. Raises LibyangError."""
        names = (ctypes.c_char_p * (len(features) + 1))(*(feature.encode() for feature in features), None)
        if not _LONG.load(self._handle, name.encode(), None, names):
            raise LibyangError(f"module {name} was not loaded")

    def implements(self, name: str) -> bool:
        """Whether the nodes of the module exist here."""
        return bool(_BRIEF.implemented(self._handle, name.encode()))

    def check(self, data: bytes, parse: int, validate: int) -> None:
        """Parse and validate XML. Raises LibyangError; `messages` say why."""
        tree, functions = ctypes.c_void_p(), _for(data)
        try:
            _check(functions.parse(self._handle, data, _XML, parse, validate, ctypes.byref(tree)))
        finally:
            functions.free(tree)

    def print(self, data: bytes, parse: int, validate: int, flags: int) -> bytes:
        """Parse XML and return what it has become. Raises LibyangError."""
        tree, text, functions = ctypes.c_void_p(), ctypes.c_void_p(), _for(data)
        try:
            _check(functions.parse(self._handle, data, _XML, parse, validate, ctypes.byref(tree)))
            if not tree:
                return b""
            _check(functions.print(ctypes.byref(text), tree, _XML, flags))
            return ctypes.string_at(text) if text else b""
        finally:
            _release(text)
            functions.free(tree)

    def take_messages(self) -> list[Message]:
        """Return the errors that this thread has met since the last time, the first one first."""
        found = []
        item = _BRIEF.first(self._handle)
        while item:
            if item.contents.level == ly.LogLevel.Error.value:
                found.append(_message(item.contents))
            item = item.contents.next
        _BRIEF.clean(self._handle, None)
        return found


def _message(item: _Item) -> Message:
    app_tag = None if item.app_tag is None else item.app_tag.decode()
    try:
        text, path = _text(item.text), _text(item.data_path)
    except UnicodeDecodeError:
        text, path = None, ""
    return Message(text, path, _text(item.schema_path), app_tag, int(item.line))


def _text(octets: bytes | None) -> str:
    return "" if octets is None else octets.decode()


def _for(data: bytes) -> _Functions:
    return _BRIEF if len(data) < _SHORT else _LONG


def _check(code: int) -> None:
    if code:
        raise LibyangError(f"libyang returned {code}")
