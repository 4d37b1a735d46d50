"""The configurations that were running before, for `rollback`: a bounded number of files in one folder."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lxml import etree

MOST: Final = 50
_PATTERN = "[0-9]" * 8 + ".xml"
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True)


@dataclass(frozen=True)
class Kept:
    """One configuration that was replaced: when (RFC 3339) and by whom."""

    file: Path
    time: str
    user: str


class Archive:
    """Keeps what `running` was before each of its last changes; the newest is number 1."""

    def __init__(self, folder: Path, most: int = MOST) -> None:
        self._folder = folder
        self._most = most

    def keep(self, config: etree._Element, time: str, user: str) -> None:
        """Keep a configuration (a `config` element) that was just replaced. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        files = self._files()
        number = int(files[-1].stem) + 1 if files else 1
        root = etree.Element("kept", time=time, user=user)
        root.append(etree.fromstring(etree.tostring(config, with_tail=False), _PARSER))
        handle, name = tempfile.mkstemp(dir=self._folder, suffix=".new")
        try:
            with os.fdopen(handle, "wb") as out:
                out.write(etree.tostring(root, xml_declaration=True, encoding="UTF-8"))
                out.flush()
                os.fsync(out.fileno())
            Path(name).replace(self._folder / f"{number:08d}.xml")
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        for file in files[: max(0, len(files) + 1 - self._most)]:
            file.unlink(missing_ok=True)

    def entries(self) -> list[Kept]:
        """What is kept, newest first; files that cannot be read are left out."""
        found = []
        for file in reversed(self._files()):
            try:
                head = next(iter(etree.iterparse(str(file), events=("start",), resolve_entities=False)))[1]
            except (OSError, etree.XMLSyntaxError, StopIteration):
                continue
            if isinstance(head, etree._Element):
                found.append(Kept(file, str(head.get("time") or ""), str(head.get("user") or "")))
        return found

    def read(self, number: int) -> etree._Element:
        """The `config` element of number 1, 2, …; raises LookupError when it is not kept."""
        entries = self.entries()
        if not 1 <= number <= len(entries):
            raise LookupError(f"there is no configuration {number}; {len(entries)} are kept")
        try:
            root = etree.parse(str(entries[number - 1].file), _PARSER).getroot()
            return root[0]
        except (OSError, etree.XMLSyntaxError, IndexError) as error:
            raise LookupError(f"configuration {number} cannot be read: {error}") from error

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob(_PATTERN))
