"""The Python texts behind a graph's own primitives, kept for each capture that ran them (spec 00 §12.6).

A graph's fingerprint covers the manifests of its primitives, not their code. So that a change of the code can be named,
a capture keeps the texts in the program store, and which of them it ran, by the digest of the bundle that it wrote.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.documents import NO_ADAPTER, ProgramSource
from ergo_cli.programs.program import AnyProgram
from ergo_cli.project.project_file import Project
from ergo_cli.project.python_programs import followed, module_file, python_provenance
from ergo_cli.project.store import ProgramStore

_KIND = "primitives"
_TAG = "code"


def own_code(program: AnyProgram, project: Project | None) -> tuple[ProgramSource, ...]:
    """The modules that define the program's own primitives, and those of the project that they import, by path.

    A primitive that is defined elsewhere has the modules of its folder in place of the project's. Empty where there are
    none, or where one cannot be read as Python in UTF-8.
    """
    computing = program.kind.computing
    files = set[Path]() if computing is None else {Path(at.file) for at in computing.own_code(program.value).values()}
    found: dict[str, ProgramSource] = {}
    try:
        for file in sorted(files):
            for source in _behind(file, project):
                found.setdefault(source.path, source)
    except (OSError, SyntaxError, ValueError):
        return ()
    return tuple(found[path] for path in sorted(found))


def _behind(file: Path, project: Project | None) -> Iterator[ProgramSource]:
    """The module that is ``file``, the packages around it, and what they import."""
    root = file.parent if project is None or not file.is_relative_to(project.root) else project.root
    parts = file.relative_to(root).with_suffix("").parts
    names = parts[:-1] if parts[-1] == "__init__" else parts
    modules = [".".join(names[: count + 1]) for count in range(len(names))]
    yield from (source.embedded for source in followed(modules, root, lambda name: module_file(root, name)))


def keep_own_code(store: ProgramStore, bundle: str, sources: tuple[ProgramSource, ...]) -> Notice | None:
    """Keep the texts, and that they are those of the capture with the digest ``bundle``; as ``ProgramStore.keep``."""
    code = _provenance(sources)
    return store.keep("own primitives", code, NO_ADAPTER, sources, _KIND) or store.keep_capture(bundle, code)


def own_code_of(store: ProgramStore, bundle: str) -> tuple[ProgramSource, ...] | None:
    """The texts that were kept for the capture with this digest; None where none are, or where they are damaged."""
    code = store.find_capture(bundle)
    kept = None if code is None else store.find(code, NO_ADAPTER, _KIND)
    return kept if isinstance(kept, tuple) and _provenance(kept) == code else None


def _provenance(sources: tuple[ProgramSource, ...]) -> str:
    return python_provenance(_KIND, _TAG, "", "", ((source.path, source.sha256) for source in sources))
