"""Every path may be a text, a Path or anything else with a path in it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ergo_cli import (
    ConfigForm,
    Ergo,
    Fixture,
    Outcome,
    ReplayConfig,
    RunConfig,
    Surroundings,
    Target,
    diff_bundles,
    inspect_bundle,
    iter_replays,
    load_adapter_file,
    load_egress_config,
    load_program_from_files,
    open_bundle,
    replay_bundle,
    replay_bundles,
    validate_files,
    write_capture_bundle,
)
from tests.library.worlds import tick_project

AnyPath = str | os.PathLike[str]


class Named:
    """A path that is neither."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __fspath__(self) -> str:
        return self._path


EGRESS = """\
default_ack_timeout = "5s"
[channels.c]
type = "process"
command = ["true"]
[routes.order]
channel = "c"
"""


@pytest.mark.parametrize("path", [str, Path, Named])
def test_paths_of_a_handle(here: Path, path: Callable[[str], AnyPath]) -> None:
    tick_project(here, capture_output="p.json")
    (here / "clusters").mkdir()
    config = RunConfig(
        path("graph.yaml"),
        Fixture(path("events.jsonl")),
        [path("clusters")],
        path("adapter.yaml"),
        capture_output=path("b.json"),
    )
    ergo = Ergo.from_project(path("."))
    summary = ergo.run(config).summary
    assert summary.capture_path == Path("b.json")
    replayed = ergo.replay(ReplayConfig(path("b.json"), path("graph.yaml"), [path("clusters")], path("adapter.yaml")))
    assert replayed.path == "b.json"
    ergo.replay_bundle(summary.capture_bundle, path("graph.yaml"), [path("clusters")], path("adapter.yaml"))
    built = Ergo.builder().project_root(path(str(here))).build()
    built.run_profile("p")
    assert built.replay_profile("p", path("p.json")).outcome is Outcome.MATCH


@pytest.mark.parametrize("path", [str, Path, Named])
def test_paths_of_functions(here: Path, path: Callable[[str], AnyPath]) -> None:
    ergo = Ergo.from_project(tick_project(here, capture_output="p.json"))
    bundle = ergo.run_profile("p").summary.capture_bundle
    write_capture_bundle(path("b.json"), bundle)
    with open_bundle(path("b.json")) as reader:
        assert (reader.path, reader.load(), inspect_bundle(reader).events) == ("b.json", bundle, 2)
    loaded = load_program_from_files(path("graph.yaml"), [path("clusters")], path("adapter.yaml"))
    target = Target(loaded.program, load_adapter_file(path("adapter.yaml")))
    assert replay_bundle(path("b.json"), target).outcome is Outcome.MATCH
    several = [path("b.json"), path("p.json")]
    assert [each.path for each in replay_bundles(several, lambda reader: target)] == ["b.json", "p.json"]
    assert [each.path for each in iter_replays(several, lambda reader: target)] == ["b.json", "p.json"]
    assert diff_bundles(path("b.json"), path("p.json")).outcome is Outcome.MATCH
    around = Surroundings(target.adapter, [path("clusters")], path("."))
    files = [path("graph.yaml"), path("events.jsonl"), path("b.json"), path("ergo.toml")]
    assert [(each.path, each.errors) for each in validate_files(files, around)] == [
        (os.fspath(file), ()) for file in files
    ]
    (here / "egress.toml").write_text(EGRESS)
    config, _ = load_egress_config(path("egress.toml"))
    assert list(config.channels) == ["c"]
    assert ConfigForm.of(path("egress.json")) is ConfigForm.JSON
