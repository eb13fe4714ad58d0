"""Import a project's modules from their source text, never from cached bytecode.

A program's fingerprint covers the text of its modules. Python takes a cached ``.pyc`` for current when the length of
the text and the second of its last change are equal, so that a module rewritten within that second runs as it was.
"""

from __future__ import annotations

import sys
from importlib.machinery import EXTENSION_SUFFIXES, SOURCE_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader
from pathlib import Path
from types import CodeType

_roots: set[Path] = set()


class _SourceTextLoader(SourceFileLoader):
    """Compiles a module each time it is loaded; reads and writes no bytecode file."""

    def get_code(self, fullname: str) -> CodeType:
        file = self.get_filename(fullname)
        return self.source_to_code(self.get_data(file), file)


def import_from_source(root: Path) -> None:
    """Let modules and packages below ``root`` be compiled from their text whenever they are imported.

    Libraries that lie there are none of them: no package's path holds ``.venv`` or ``python3.11``.
    """
    if root in _roots:
        return
    if not _roots:
        sys.path_hooks.insert(0, _finder)
    _roots.add(root)
    for place in [each for each in sys.path_importer_cache if _is_package_place(each)]:
        del sys.path_importer_cache[place]


def _finder(place: str) -> FileFinder:
    """The finder of a folder of a project's modules. Raises ImportError for any other place, as path hooks do."""
    if not _is_package_place(place):
        raise ImportError
    return FileFinder(place, (ExtensionFileLoader, EXTENSION_SUFFIXES), (_SourceTextLoader, SOURCE_SUFFIXES))


def _is_package_place(place: str) -> bool:
    path = Path(place)
    within = (path.relative_to(root).parts for root in _roots if path.is_relative_to(root))
    return path.is_dir() and any(all(part.isidentifier() for part in parts) for parts in within)
