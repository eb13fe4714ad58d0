"""Which bundles a changed file reaches, and which folders are watched for that."""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import chdir
from pathlib import Path

import pytest

from ergo_cli.errors import ErgoError
from ergo_cli.project.finding import ProgramFlags
from ergo_cli.replay.results import BundleResult, Outcome
from ergo_cli.replay.selection import BundlePath
from ergo_cli.tools.watching import reached, watched_folders

AGENT, FLOW, GRAPH, BROKEN = (BundlePath(f"/p/captures/{name}.json") for name in ("agent", "flow", "graph", "broken"))
FILES = {
    AGENT: ("/p/desk/agent.py", "/p/desk/words.py", "/p/ergo.toml"),
    FLOW: ("/p/stock/flow.py", "/p/ergo.toml"),
    GRAPH: ("/p/graph.yaml", "/p/clusters/trend.yaml", "/p/adapter.json", "/p/ergo.toml"),
}
KNOWN = {
    **{bundle.path: BundleResult(bundle.path, Outcome.MATCH, files=files) for bundle, files in FILES.items()},
    BROKEN.path: BundleResult(BROKEN.path, Outcome.REFUSED, ErgoError("program.import_failed", "it does not load")),
}
EVERY = (AGENT, FLOW, GRAPH, BROKEN)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ("/p/captures/flow.json", {FLOW}),
        ("/p/captures/broken.json", {BROKEN}),
        ("/p/desk/words.py", {AGENT, GRAPH, BROKEN}),
        ("/p/stock/flow.py", {FLOW, GRAPH, BROKEN}),
        ("/p/clusters/trend.yaml", {GRAPH, BROKEN}),
        ("/p/adapter.json", {GRAPH, BROKEN}),
        ("/p/ergo.toml", set(EVERY)),
        ("/p/desk/new.py", set(EVERY)),
        ("/p/clusters/new.yaml", set(EVERY)),
        ("/p/README.md", {BROKEN}),
    ],
)
def test_a_change_reaches_the_bundles_whose_result_it_may_alter(changed: str, expected: set[BundlePath]) -> None:
    assert set(reached({changed}, EVERY, KNOWN)) == expected


def test_a_bundle_without_result_is_reached_by_anything() -> None:
    new = BundlePath("/p/captures/new.json")
    assert list(reached((), (*EVERY, new), KNOWN)) == [new]


@pytest.fixture
def home(tmp_path: Path) -> Generator[Path]:
    for folder in ("project/captures", "elsewhere/adapters", "kept/march"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "project" / "ergo.toml").write_text('name = "p"\nversion = "1"\n[profiles]\n')
    with chdir(tmp_path / "project" / "captures"):
        yield Path(os.path.realpath(tmp_path))


def test_what_decides_is_watched_wherever_it_lies(home: Path) -> None:
    def folders(*arguments: str, flags: ProgramFlags = ProgramFlags()) -> set[str]:
        return {str(Path(each).relative_to(home)) for each in watched_folders(arguments, flags)}

    assert folders() == {"project"}
    assert folders(".", "../captures/*.json") == {"project"}
    assert folders("../../kept/march/b.json", "../../kept/*/x.json") == {"project", "kept"}
    assert folders(flags=ProgramFlags(adapter=Path("../../elsewhere/adapters/a.yaml"))) == {
        "project",
        "elsewhere/adapters",
    }
    assert folders(flags=ProgramFlags(project=Path("../../kept"))) == {"kept"}, "a folder that may become a project"


def test_a_project_that_cannot_be_read_is_watched(home: Path) -> None:
    (home / "project" / "ergo.toml").write_text("[")
    assert [Path(each) for each in watched_folders((), ProgramFlags())] == [home / "project"]
