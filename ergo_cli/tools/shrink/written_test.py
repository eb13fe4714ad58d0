"""A pytest file beside a shrunk bundle: what was decided, and that today's program decides so."""

from __future__ import annotations

import os
from pathlib import Path
from pprint import pformat

import msgspec

from ergo_cli.bundle.memory import CaptureBundle
from ergo_cli.bundle.schema import DecisionRecord
from ergo_cli.core.json import JsonValue
from ergo_cli.errors import UsageError
from ergo_cli.project.finding import FoundProgram, ProgramFlags

_TEXT = '''"""What was decided for the smallest stream on which the program decided otherwise.

Written by `ergo shrink`. The stream, and all else that was recorded, is in the bundle.
"""

import json
from pathlib import Path

from ergo_cli import {names}

HERE = Path(__file__).parent
BUNDLE = HERE / {bundle!r}
DECISIONS = {decisions}


def test_the_bundle_holds_these_decisions():
    with open_bundle(BUNDLE) as bundle:
        recorded = [
            {{
                "event": decision.event_id,
                "decision": decision.decision.value,
                "effects": [json.loads(effect.text) for effect in decision.effects],
            }}
            for decision in bundle.decisions()
        ]
    assert recorded == DECISIONS


def test_the_program_decides_so_today():
    {target}
    result = replay_bundle(BUNDLE, target, ReplayOptions(strict=False))
    assert result.error is None
    assert [(each.event_id, each.path, each.expected, each.actual) for each in result.divergences] == []
'''


def test_text(file: Path, destination: str, bundle: CaptureBundle, found: FoundProgram, flags: ProgramFlags) -> str:
    """The text of the pytest ``file`` for the bundle at ``destination``. Raises UsageError as ``check_testable``."""
    names, target = _target(file.parent, found, flags)
    return _TEXT.format(
        names=", ".join(sorted((names, "ReplayOptions", "open_bundle", "replay_bundle", *_MORE.get(names, ())))),
        bundle=_from(file.parent, destination),
        decisions=pformat([_stated(decision) for decision in bundle.decisions], width=100, sort_dicts=False),
        target=target,
    )


_MORE = {"Target": ("load_program_from_files",)}


def _target(folder: Path, found: FoundProgram, flags: ProgramFlags) -> tuple[str, str]:
    """The class that the test imports for today's program, and the line that makes its target."""
    is_flagged = flags.graph is not None or flags.program is not None or bool(flags.adapter or flags.cluster_paths)
    if found.profile is not None and not is_flagged:
        root = _from(folder, found.profile.project.root)
        return "Ergo", f"target = Ergo.from_project(HERE / {root!r}).target({found.profile.name!r})"
    if flags.graph is not None and found.project is None:
        clusters = "".join(f"HERE / {_from(folder, path)!r}, " for path in flags.cluster_paths)
        adapter = "None" if flags.adapter is None else f"HERE / {_from(folder, flags.adapter)!r}"
        graph = f"HERE / {_from(folder, flags.graph)!r}"
        load = f"loaded = load_program_from_files({graph}, ({clusters}), {adapter})"
        return "Target", f"{load}\n    target = Target(loaded.program, loaded.adapter)"
    message = (
        "a test finds the program by a profile, or by a graph file outside of projects; this one is found otherwise"
    )
    fix = "name the program in a profile of ergo.toml, and shrink with -p NAME, or leave --test out"
    raise UsageError("cli.conflicting_options", message, where="option --test", fix=fix)


def check_testable(found: FoundProgram, flags: ProgramFlags) -> None:
    """Raise UsageError ``cli.conflicting_options`` for a program that a test could not find again."""
    _target(Path(), found, flags)


def _from(folder: Path, path: str | Path) -> str:
    """The path as seen from a folder, with slashes."""
    return Path(os.path.relpath(path, folder)).as_posix()


def _stated(decision: DecisionRecord) -> dict[str, JsonValue]:
    effects: list[JsonValue] = [msgspec.json.decode(effect.text) for effect in decision.effects]
    return {"event": decision.event_id, "decision": decision.decision.value, "effects": effects}
