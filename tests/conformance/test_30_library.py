"""Spec 30, checklist lines of the library: C-40, C-55, C-59, C-63, C-84, C-129 to C-136."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread, Timer

import pytest
from msgspec.structs import replace

from ergo_cli import (
    BuildError,
    CaptureBundle,
    CaptureError,
    Completed,
    EgressConfig,
    Ergo,
    EventKind,
    Fixture,
    HostedEvent,
    InMemoryProject,
    Interrupted,
    Items,
    LibraryError,
    Process,
    ReplayConfig,
    ReplayError,
    RunConfig,
    RunError,
    RunnerError,
    StepError,
    StopHandle,
    ValidationError,
    open_bundle,
)
from ergo_cli.primitives import source
from ergo_cli.replay.results import ReplayOptions
from tests.channels.egress_channels import left_behind
from tests.channels.ingress_drivers import left_of, pid_in, scripted, started
from tests.channels.samples import READY, sample_project
from tests.library.worlds import (
    ADAPTER,
    GRAPH,
    MECHANICAL,
    PATIENT,
    assets,
    in_memory,
    tick_project,
    tick_run,
    ticks,
    write_profile,
    write_ticks,
)
from tests.support.events import tick


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.chdir(tmp_path)


@source("doubled", "1.0.0")
def doubled(price: float) -> float:
    return 2.0 * price


def refusal(family: type[LibraryError], act: Callable[[], object]) -> LibraryError:
    with pytest.raises(family) as caught:
        act()
    assert caught.value.message
    return caught.value


def sample(folder: Path, *steps: str) -> Ergo:
    """A handle for the sample project, its channel scripted, waiting for it only shortly."""
    return Ergo.builder().project_root(sample_project(folder, *steps)).channel_policy(PATIENT).build()


def message(event_id: str, text: str = "hi") -> HostedEvent:
    return HostedEvent(event_id, EventKind.COMMAND, 0, "sample_event", {"message": text})


NEEDS_GATE = """
kind: cluster
id: g
version: 0.1.0
nodes: {gate: {cluster: gate@^2.0}}
edges: []
"""
GATE = MECHANICAL.replace("id: min\nversion: 0.1.0", "id: gate\nversion: 1.0.0")


def test_c30_40_what_versions_of_a_cluster_there_are(tmp_path: Path) -> None:
    (tmp_path / "clusters").mkdir()
    (tmp_path / "clusters" / "gate.yaml").write_text(GATE)
    (tmp_path / "g.yaml").write_text(NEEDS_GATE)
    ergo = Ergo.builder().build()
    told = [
        refusal(RunError, lambda graph=graph: ergo.run(RunConfig(graph, Items("none", ticks(1)))))
        for graph in (tmp_path / "g.yaml", assets(NEEDS_GATE, gate=GATE))
    ]
    assert [error.category for error in told] == ["graph_preparation"] * 2
    places = [tmp_path / "clusters" / "gate.yaml", "cluster gate"]
    assert [error.details[1:] for error in told] == [(f"- gate@1.0.0 at {place}",) for place in places]


def test_c30_55_a_driver_gives_the_same_from_paths_and_in_memory(tmp_path: Path) -> None:
    driver = scripted(tmp_path / "pid", "hello", "events:3", "end")
    write_profile(tmp_path, {"graph": str(GRAPH), "adapter": str(ADAPTER), "capture_output": "p.json"})
    with (tmp_path / "ergo.toml").open("a") as file:
        file.write(f'ingress = {{ type = "process", command = {json.dumps(driver)} }}\n')
    outcomes = [
        Ergo.from_project(tmp_path).run_profile("p"),
        Ergo.builder().build().run(RunConfig(GRAPH, Process(driver), adapter=ADAPTER, capture_output="c.json")),
        in_memory(p=RunConfig(assets(), Process(driver), adapter=ADAPTER)).run_profile("p"),
    ]
    summaries = [outcome.summary for outcome in outcomes]
    assert all(isinstance(outcome, Completed) for outcome in outcomes)
    assert [summary.episode_event_counts for summary in summaries] == [(("E1", 3),)] * 3
    first, *others = [replace(each, capture_path=None, notices=(), memory=None) for each in summaries]
    assert others == [first, first]
    assert [each.capture_path for each in summaries] == [tmp_path / "p.json", Path("c.json"), None]
    assert (tmp_path / "p.json").read_bytes() == (tmp_path / "c.json").read_bytes()
    assert summaries[2].capture_bundle.encode() == (tmp_path / "c.json").read_bytes()
    assert left_of(pid_in(tmp_path)) == []


def test_c30_59_a_stop_before_the_first_event(tmp_path: Path) -> None:
    driver, stop = scripted(tmp_path / "pid", "hello", "hang"), StopHandle()
    config = RunConfig(GRAPH, Process(driver), adapter=ADAPTER, capture_output="b.json")
    timer = Timer(0.02, stop.stop)
    timer.start()
    error = refusal(RunError, lambda: Ergo.builder().build().run(config, stop))
    timer.join()
    assert (error.category, error.code) == ("ingress", "driver.output_incomplete")
    assert not (tmp_path / "b.json").exists()
    assert not started(tmp_path) or left_of(pid_in(tmp_path)) == []


def test_c30_63_a_stop_from_another_thread(tmp_path: Path) -> None:
    write_ticks(tmp_path / "e.jsonl", 4096)
    config = RunConfig(GRAPH, Fixture("e.jsonl"), adapter=ADAPTER, capture_output="b.json")
    stop, ergo = StopHandle(), Ergo.builder().build()
    outcomes: list[object] = []
    thread = Thread(target=lambda: outcomes.append(ergo.run(config, stop)))
    thread.start()
    while thread.is_alive() and not any(path.name.startswith("ergo.") for path in tmp_path.iterdir()):
        pass  # the temporary file appears with the run
    Timer(0.005, stop.stop).start()
    thread.join()
    [outcome] = outcomes
    assert isinstance(outcome, Interrupted)
    assert outcome.reason.code == "host_stop_requested"
    assert 0 < outcome.summary.events < 4096
    assert ergo.replay(ReplayConfig("b.json", GRAPH, adapter=ADAPTER)).events == outcome.summary.events


def test_c30_84_a_channel_that_does_not_start_fails_the_making_of_a_runner(tmp_path: Path) -> None:
    error = refusal(RunnerError, lambda: sample(tmp_path, "exit:1").runner_for_profile("historical"))
    assert (error.category, error.code) == ("egress_startup", "egress.start_failed")
    assert left_behind(tmp_path / "sample") == []


TICKS = {"graph": "graph.yaml", "adapter": "adapter.yaml", "fixture": "events.jsonl"}
FAULTS: dict[str, tuple[dict[str, object], str, str]] = {
    "both kinds of ingress": (
        {**TICKS, "ingress": 0},
        "config",
        "project_config",
    ),
    "no ingress": ({**TICKS, "fixture": None}, "config", "project_config"),
    "no graph file": ({**TICKS, "graph": "gone.yaml"}, "graph_load", ""),
    "YAML error": ({**TICKS, "graph": "broken.yaml"}, "graph_load", ""),
    "expansion failure": ({**TICKS, "graph": "unknown.yaml"}, "graph_preparation", ""),
    "no egress file": ({**TICKS, "egress": "gone.toml"}, "config", "egress_config_read"),
    "bad egress file": ({**TICKS, "egress": "bad.toml"}, "config", "egress_config_parse"),
    "no fixture file": ({**TICKS, "fixture": "gone.jsonl"}, "ingress", ""),
    "no process": ({**TICKS, "fixture": None, "ingress": 1}, "ingress", ""),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_c30_129_the_categories_of_what_is_wrong_with_a_profile(tmp_path: Path, fault: str) -> None:
    keys, category, config = FAULTS[fault]
    tick_project(tmp_path)
    ingress = keys.get("ingress")
    write_profile(tmp_path, {key: value for key, value in keys.items() if key != "ingress"})
    if ingress is not None:
        with (tmp_path / "ergo.toml").open("a") as file:
            file.write('ingress = { type = "process", command = ["./gone"] }\n')
    (tmp_path / "broken.yaml").write_text("kind: [\n")
    (tmp_path / "unknown.yaml").write_text(MECHANICAL.replace("number_source", "nowhere"))
    (tmp_path / "bad.toml").write_text("default_ack_timeout = 1\n")
    ergo = Ergo.from_project(tmp_path)
    error = refusal(RunError, lambda: ergo.run_profile("p"))
    assert error.category == category
    assert (error.cause.category if isinstance(error.cause, LibraryError) else "") == config
    if fault == "no ingress":
        assert ergo.validate_project().profiles == ("p",)  # events may come from elsewhere
        return
    invalid = refusal(ValidationError, ergo.validate_project)
    assert isinstance(invalid, ValidationError)
    assert invalid.profile == "p"
    assert "'p'" in invalid.message


def test_c30_129_a_profile_that_does_not_exist(tmp_path: Path) -> None:
    tick_project(tmp_path)
    for ergo in (Ergo.from_project(tmp_path), in_memory(p=tick_run(ticks(1)))):
        for family, act in (
            (RunError, ergo.run_profile),
            (RunnerError, ergo.runner_for_profile),
            (ReplayError, lambda name, ergo=ergo: ergo.replay_profile_bundle(name, bundle())),
        ):
            error = refusal(family, lambda act=act: act("q"))
            assert isinstance(error.cause, LibraryError)
            assert (error.category, error.cause.category) == ("config", "profile_not_found")


def bundle() -> CaptureBundle:
    return in_memory(p=tick_run(ticks(1))).run_profile("p").summary.capture_bundle


def test_c30_130_one_kind_of_project(tmp_path: Path) -> None:
    project = InMemoryProject("desk", "1.0.0", {"p": tick_run(ticks(1))})
    error = refusal(BuildError, Ergo.builder().project_root(tmp_path).in_memory_project(project).build)
    assert (error.code, error.category) == ("project_source_conflict", "project_source_conflict")
    tick_project(tmp_path)
    assert Ergo.builder().project_root("nowhere").project_root(tmp_path).build().validate_project().root == tmp_path
    other = InMemoryProject("other", "1.0.0", project.profiles)
    handle = Ergo.builder().in_memory_project(other).in_memory_project(project).build()
    assert handle.validate_project().name == "desk"


def test_c30_131_one_handle_for_everything(tmp_path: Path) -> None:
    tick_project(tmp_path, capture_output="b.json")
    ergo = Ergo.from_project(tmp_path / "graph.yaml")
    first = ergo.run_profile("p").summary.capture_bundle
    assert ergo.run_profile("p").summary.capture_bundle == first
    refusal(RunError, lambda: ergo.run_profile("q"))
    summary = ergo.validate_project()
    assert (summary.root, summary.name, summary.version, summary.profiles) == (tmp_path, "ticks", "1.0.0", ("p",))
    assert ergo.replay_profile("p", tmp_path / "b.json").events == 2


PRICED = """\
kind: cluster
id: doubling
version: "1.0.0"
nodes:
  price: { impl: doubled@1.0.0 }
  yes: { impl: const_bool@0.1.0, params: { value: true } }
  gate: { impl: emit_if_true@0.1.0 }
  keep: { impl: context_set_number@0.1.0, params: { key: y } }
edges: [yes.value -> gate.input, gate.event -> keep.event, price.value -> keep.value]
outputs: { price: price.value }
"""


def test_c30_132_a_source_of_the_builder_is_used_everywhere() -> None:
    manifest = (
        ADAPTER.read_text().replace("name: x,", "name: price,").replace("{x:", "{price:").replace("[x]", "[price]")
    )
    Path("a.yaml").write_text(manifest)
    Path("g.yaml").write_text(PRICED)
    event = HostedEvent("e", EventKind.COMMAND, 0, "tick", {"price": 1.25})
    config = RunConfig("g.yaml", Items("prices", [event]), adapter="a.yaml", capture_output="b.json")
    project = InMemoryProject("p", "1", {"p": config})
    ergo = Ergo.builder().in_memory_project(project).add_source(doubled).build()
    kept = ergo.run(config).summary.capture_bundle
    assert ergo.replay(ReplayConfig("b.json", "g.yaml", adapter="a.yaml")).events == 1
    with ergo.runner_for_profile("p") as runner:
        assert [write.value.native for write in runner.step(event).applied_writes] == [2.5]
        assert runner.finish() == kept
    assert refusal(RunError, lambda: Ergo.builder().build().run(config)).category == "graph_preparation"


def test_c30_133_a_manual_runner_knows_no_bounds_and_no_ingress(tmp_path: Path) -> None:
    sentinel = tmp_path / "sentinel"
    driver = [sys.executable, "-c", f"open({str(sentinel)!r}, 'w')"]
    config = replace(tick_run(()), ingress=Process(driver), max_events=1, max_duration=0)
    with in_memory(p=config).runner_for_profile("p") as runner:
        for event_id in "abc":
            runner.step(tick(event_id))
        kept = runner.finish()
    assert [event.event_id for event in kept.events] == ["a", "b", "c"]
    assert not sentinel.exists()


def test_c30_133_nothing_is_written_unless_asked_for(tmp_path: Path) -> None:
    tick_project(tmp_path, capture_output="b.json", pretty_capture=True)
    ergo = Ergo.from_project(tmp_path)
    with ergo.runner_for_profile("p") as runner:
        runner.step(tick("a"))
        kept = runner.finish()
    assert not (tmp_path / "b.json").exists()
    with ergo.runner_for_profile("p") as runner:
        assert (runner.capture_output_path, runner.pretty_capture) == (tmp_path / "b.json", True)
        runner.step(tick("a"))
        assert runner.finish_and_write_capture() == kept
    assert (tmp_path / "b.json").read_bytes() == kept.encode(pretty=True)


def test_c30_133_a_failed_write_keeps_the_bundle(tmp_path: Path) -> None:
    with in_memory(p=tick_run(ticks(1), capture_output="file/b.json")).runner_for_profile("p") as runner:
        runner.step(tick("a"))
        (tmp_path / "file").rmdir()
        (tmp_path / "file").touch()
        error = refusal(CaptureError, runner.finish_and_write_capture)
    assert isinstance(error, CaptureError)
    assert (error.category, error.code) == ("write", "capture.write_failed")
    assert error.bundle is not None
    assert len(error.bundle.decisions) == 1


def test_c30_133_without_a_place_nothing_is_finished(tmp_path: Path) -> None:
    tick_project(tmp_path)
    with Ergo.from_project(tmp_path).runner_for_profile("p") as runner:
        assert runner.capture_output_path is None
        runner.step(tick("a"))
        assert refusal(CaptureError, runner.finish_and_write_capture).category == "output_not_configured"
        runner.step(tick("b"))
        assert len(runner.finish().decisions) == 2


def test_c30_134_nothing_to_finish_and_nothing_after_it() -> None:
    with in_memory(p=tick_run(ticks(1))).runner_for_profile("p") as runner:
        error = refusal(CaptureError, runner.finish)
        assert isinstance(error, CaptureError)
        assert (error.category, error.bundle) == ("finalize", None)
        runner.step(tick("a"))
        runner.finish()
        assert refusal(StepError, lambda: runner.step(tick("b"))).category == "lifecycle"
        assert refusal(StepError, runner.context_snapshot).category == "lifecycle"
        assert refusal(CaptureError, runner.finish).category == "finalize"


def test_c30_134_after_a_dispatch_failure_only_finishing_is_left(tmp_path: Path) -> None:
    with sample(tmp_path, READY, "read", "answer:rejected,durable").runner_for_profile("historical") as runner:
        error = refusal(StepError, lambda: runner.step(message("a")))
        assert isinstance(error, StepError)
        assert (error.category, error.can_finish, error.is_recoverable) == ("egress_dispatch", True, False)
        assert left_behind(tmp_path / "sample") == []
        assert refusal(StepError, lambda: runner.step(message("b"))).category == "lifecycle"
        assert runner.context_snapshot() == {"last_message": "hello-from-cluster"}
        [decision] = runner.finish().decisions
    assert decision.interruption is not None
    assert "status='rejected'" in decision.interruption
    assert decision.effects


def test_c30_135_a_bundle_stays_in_memory_or_goes_where_the_profile_says(tmp_path: Path) -> None:
    ergo = in_memory(memory=tick_run(ticks(2)), file=tick_run(ticks(2), capture_output="b.json", pretty_capture=True))
    kept = ergo.run_profile("memory").summary
    assert (kept.capture_path, list(tmp_path.iterdir())) == (None, [])
    assert ergo.run_profile("file").summary.capture_path == Path("b.json")
    assert Path("b.json").read_bytes() == kept.capture_bundle.encode(pretty=True)
    assert ergo.validate_project().root is None
    assert ergo.validate_project().profiles == ("file", "memory")


def test_c30_135_what_a_project_in_memory_must_have() -> None:
    event = ticks(1)
    wrong = {
        "blank label": (tick_run(event), Items(" ", event), "project_config"),
        "no events": (tick_run(event), Items("ticks", ()), "project_config"),
        "no command": (tick_run(event), Process([]), "process_command_empty"),
        "blank command": (tick_run(event), Process([" ", "x"]), "process_command_empty"),
    }
    for config, ingress, category in wrong.values():
        error = refusal(BuildError, lambda config=replace(config, ingress=ingress): in_memory(p=config))
        assert isinstance(error.cause, LibraryError)
        assert (error.category, error.cause.category) == ("project", category)
        assert error.fix
    assert refusal(BuildError, in_memory).category == "project"


def test_c30_135_a_project_in_memory_replays_values_only() -> None:
    ergo = in_memory(p=tick_run(ticks(2), capture_output="b.json"))
    kept = ergo.run_profile("p").summary.capture_bundle
    assert ergo.replay_profile_bundle("p", kept).events == 2
    error = refusal(ReplayError, lambda: ergo.replay_profile("p", "b.json"))
    assert isinstance(error.cause, LibraryError)
    assert (error.category, error.cause.category) == ("config", "unsupported_operation")


def test_c30_136_a_bundle_replays_alike_as_a_value_and_from_its_file() -> None:
    ergo = Ergo.builder().build()
    write_ticks(Path("e.jsonl"), 3)
    ergo.run(RunConfig(GRAPH, Fixture("e.jsonl"), adapter=ADAPTER, capture_output="b.json"))
    with open_bundle("b.json") as reader:
        kept = reader.load()
    from_file = ergo.replay(ReplayConfig("b.json", GRAPH, adapter=ADAPTER))
    assert replace(ergo.replay_bundle(kept, GRAPH, adapter=ADAPTER), path="b.json") == from_file
    Path("g.yaml").write_text(GRAPH.read_text().replace("key: y", "key: z"))
    Path("a.yaml").write_text(ADAPTER.read_text().replace("name: y, type", "name: z, type"))
    loose = ReplayOptions(strict=False)
    told = [
        refusal(ReplayError, lambda: ergo.replay(ReplayConfig("b.json", "g.yaml", (), "a.yaml", loose))),
        refusal(ReplayError, lambda: ergo.replay_bundle(kept, "g.yaml", (), "a.yaml", loose)),
    ]
    assert [(error.category, error.code, error.where) for error in told] == [
        ("replay_mismatch", "replay.effect_mismatch", told[0].where)
    ] * 2


def test_c30_136_what_is_wrong_with_a_value_is_found_too() -> None:
    kept, ergo = bundle(), Ergo.builder().build()
    [event] = kept.events
    tampered = {
        "replay.unsupported_capture_version": replace(kept, capture_version="v9"),
        "replay.hash_mismatch": replace(kept, events=(replace(event, payload=b'{"x":2.0}'),)),
        "replay.adapter_provenance_mismatch": replace(kept, header=replace(kept.header, adapter_provenance="other")),
    }
    for code, value in tampered.items():
        error = refusal(ReplayError, lambda value=value: ergo.replay_bundle(value, GRAPH, adapter=ADAPTER))
        assert (error.code, error.category) == (code, "replay_preflight")


def test_c30_33_a_route_that_the_adapter_does_not_accept_is_refused_in_memory_too() -> None:
    egress = EgressConfig.builder(10**9).channel("c", ["true"]).route("unheard_of", "c").build()
    error = refusal(RunError, lambda: in_memory(p=tick_run(ticks(1), egress_config=egress)).run_profile("p"))
    assert (error.category, error.code) == ("egress_validation", "host.configuration_invalid")
