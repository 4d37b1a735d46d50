"""Read a YANG pattern (an XML schema regular expression) as a Python one, where that is sure."""

import re

_PLAIN_ESCAPES = frozenset("\\|.?*+(){}-[]^$/,:;\"'#@!=~%&<> ")
_DIGIT = "0-9"


def python_pattern(pattern: str, barrier: str) -> str | None:
    r"""Return a Python expression that matches the same ASCII texts that are free of `barrier`, a character.

    None for what Python reads otherwise or not at all: Unicode classes (`\p`, `\i`, `\c`, `\w`, `\s`), class
    subtraction, characters beyond ASCII, and anything that could match `barrier` in a class.
    """
    if not pattern.isascii() or barrier in pattern:
        return None
    out: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "[":
            end = _class_end(pattern, position)
            inner = _class(pattern[position + 1 : end], barrier) if end else None
            if inner is None:
                return None
            out.append(inner)
            position = end + 1
            continue
        if char == "\\":
            position += 1
            escaped = _escape(pattern[position : position + 1])
            if escaped is None:
                return None
            out.append(f"[{escaped}]" if escaped == _DIGIT else escaped)
        elif char in "^$":  # ordinary characters in XML schema
            out.append(f"\\{char}")
        elif char == ".":
            out.append(f"[^\\n\\r{re.escape(barrier)}]")
        elif char == "(":
            if pattern[position + 1 : position + 2] == "?":
                return None
            out.append("(?:")
        else:
            out.append(char)
        position += 1
    text = f"(?:{''.join(out)})"
    try:
        re.compile(text)
    except re.error:
        return None
    # Python gives `++`, `*+` and the like meanings of their own.
    return None if re.search(r"(?<!\\)[*+?}][*+?]", text.replace("(?:", "(")) else text


def _class_end(pattern: str, start: int) -> int:
    """Return where the class that opens at `start` closes; 0 when it does not or holds another class."""
    position = start + 1
    while position < len(pattern):
        if pattern[position] == "\\":
            position += 1
        elif pattern[position] == "[":
            return 0
        elif pattern[position] == "]":
            return position
        position += 1
    return 0


def _class(inner: str, barrier: str) -> str | None:
    """Return a character class, which never matches `barrier`."""
    negated = inner.startswith("^")
    body, out = inner.removeprefix("^"), []
    position = 0
    while position < len(body):
        char = body[position]
        if char == "\\":
            position += 1
            escaped = _escape(body[position : position + 1])
            if escaped is None:
                return None
            out.append(escaped)
        else:
            out.append(char if char.isalnum() or char == "-" else re.escape(char))
        position += 1
    text = "".join(out)
    expression = f"[^{re.escape(barrier)}{text}]" if negated else f"[{text}]"
    try:
        # A range may take the barrier in, as in [ -~].
        bad = not text or (not negated and re.match(expression, barrier) is not None)
    except re.error:
        return None
    return None if bad else expression


def _escape(char: str) -> str | None:
    if char == "d":
        return _DIGIT
    if char in {"n", "r", "t"}:
        return f"\\{char}"
    return re.escape(char) if char and char in _PLAIN_ESCAPES else None
