"""What a handle does with projects and with files named one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from ergo_cli import (
    AdapterText,
    BuildError,
    CaptureError,
    Completed,
    EgressConfig,
    Ergo,
    ErgoError,
    Fixture,
    Interrupted,
    Items,
    LibraryError,
    ReplayConfig,
    ReplayError,
    RunConfig,
    RunError,
    StopHandle,
    ValidationError,
    open_bundle,
    write_capture_bundle,
)
from ergo_cli.primitives import compute, source
from tests.channels.egress_channels import left_behind
from tests.channels.samples import READY, sample_project, send
from tests.library.worlds import (
    ADAPTER,
    GRAPH,
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


@source("price", "1.0.0")
def price(price: float = 0.0) -> float:
    return price


@compute("price", "1.0.0")
def other_price(value: float) -> float:
    return value


@compute("halved", "1.0.0")
def halved(value: float) -> float:
    return value / 2.0


def test_a_run_of_a_file_is_the_capture_that_the_command_writes(here: Path) -> None:
    write_ticks(here / "e.jsonl", 3)
    outcome = Ergo.builder().build().run(RunConfig(str(GRAPH), Fixture("e.jsonl"), adapter=str(ADAPTER)))
    assert isinstance(outcome, Completed)
    summary = outcome.summary
    assert summary.capture_path == Path("target/graph-capture.json")
    assert (summary.graph_id, summary.events, summary.invoked, summary.deferred) == ("tick_flow", 3, 3, 0)
    assert (summary.skipped, summary.failed) == (0, 0)
    with open_bundle("target/graph-capture.json") as reader:
        assert summary.capture_bundle == reader.load()


def test_a_project_of_elsewhere_plays_no_part(here: Path) -> None:
    (here / "ergo.toml").write_text("this is no TOML")
    write_ticks(here / "e.jsonl", 1)
    config = RunConfig(GRAPH, Fixture("e.jsonl"), adapter=ADAPTER, capture_output="b.json")
    ergo = Ergo.builder().build()
    ergo.run(config)
    assert ergo.replay(ReplayConfig("b.json", GRAPH, adapter=ADAPTER)).events == 1


@pytest.mark.parametrize("bound", [{"max_events": 2}, {"max_events": 3}])
def test_a_bound_interrupts(bound: dict[str, int]) -> None:
    outcome = in_memory(p=tick_run(ticks(3), **bound)).run_profile("p")
    assert isinstance(outcome, Interrupted)
    assert (outcome.reason.code, outcome.error) == ("host_stop_requested", None)
    assert outcome.summary.events == len(outcome.summary.capture_bundle.decisions) == bound["max_events"]


def test_one_stop_handle_serves_until_somebody_stops() -> None:
    ergo, stop = in_memory(p=tick_run(ticks(3), max_events=1)), StopHandle()
    assert ergo.run_profile("p", stop).summary.events == 1
    assert ergo.run_profile("p", stop).summary.events == 1
    stop.stop()
    with pytest.raises(RunError) as caught:
        ergo.run_profile("p", stop)
    assert caught.value.code == "driver.output_incomplete"


@pytest.mark.parametrize(
    "adapter",
    [
        ADAPTER,
        str(ADAPTER),
        AdapterText(ADAPTER.read_text(), "the desk"),
        {
            "kind": "adapter",
            "id": "tick_desk",
            "version": "1.0.0",
            "runtime_compatibility": "0.1.0-alpha.1",
            "context_keys": [
                {"name": "y", "type": "Number", "required": False, "writable": True},
                {"name": "x", "type": "Number", "required": False, "writable": False},
            ],
            "event_kinds": [
                {
                    "name": "tick",
                    "payload_schema": {
                        "type": "object",
                        "properties": {"x": {"type": "number"}, "y": {"type": "number"}},
                        "required": ["x"],
                        "additionalProperties": False,
                    },
                }
            ],
            "accepts": {
                "effects": [
                    {"name": name, "payload_schema": {"type": "object", "additionalProperties": False}}
                    for name in ("set_context", "publish")
                ]
            },
            "capture": {
                "format_version": "1",
                "fields": ["event.tick", "meta.adapter_id", "meta.adapter_version", "meta.timestamp"],
            },
        },
    ],
    ids=["path", "path text", "text", "manifest"],
)
def test_an_adapter_in_every_form(adapter: Any) -> None:
    kept = in_memory(p=tick_run(ticks(2))).run_profile("p").summary.capture_bundle
    config = replace(tick_run(ticks(2)), adapter=adapter)
    assert in_memory(p=config).run_profile("p").summary.capture_bundle == kept


@pytest.mark.parametrize(
    ("adapter", "category"),
    [
        (AdapterText("kind: [", "mine"), "adapter_setup"),
        ({"kind": object()}, "adapter_setup"),
        ({"id": "half"}, "adapter_setup"),
        (AdapterText(ADAPTER.read_text().replace("writable: true", "writable: false"), "mine"), "adapter_composition"),
        (None, "adapter_required"),
        ("gone.yaml", "adapter_setup"),
    ],
)
def test_an_adapter_that_cannot_be_used(adapter: Any, category: str) -> None:
    with pytest.raises(RunError) as caught:
        in_memory(p=replace(tick_run(ticks(1)), adapter=adapter)).run_profile("p")
    assert caught.value.category == category


def test_channels_of_a_project_take_the_intents(here: Path) -> None:
    project = sample_project(here, READY, "serve")
    ergo = Ergo.builder().project_root(project).channel_policy(PATIENT).build()
    outcome = ergo.run_profile("historical")
    assert isinstance(outcome, Completed)
    [decision] = outcome.summary.capture_bundle.decisions
    assert [ack.channel for ack in decision.intent_acks] == ["sample_outbox"]
    assert outcome.summary.capture_bundle.egress_provenance is not None
    assert ergo.replay_profile("historical", project / "captures" / "historical.capture.json").events == 1
    assert ergo.replay_profile_bundle("historical", outcome.summary.capture_bundle).events == 1


def test_a_channel_that_breaks_a_run_is_its_reason(here: Path) -> None:
    project = sample_project(here, READY, "read", "ack", "read", "exit:0")
    send(project, a="one", b="two")
    outcome = Ergo.builder().project_root(project).channel_policy(PATIENT).build().run_profile("historical")
    assert isinstance(outcome, Interrupted)
    assert (outcome.reason.code, outcome.reason.channel) == ("egress_io", "sample_outbox")
    assert isinstance(outcome.error, ErgoError)
    assert outcome.summary.events == 2
    assert left_behind(project) == []


def test_a_notice_for_a_route_that_nothing_takes() -> None:
    egress = EgressConfig.builder(10**9).channel("c", ["./gone"]).route("publish", "c").build()
    summary = in_memory(p=tick_run(ticks(1), egress_config=egress)).validate_project()
    assert [notice.message for notice in summary.notices] == ["egress route declared for non-emittable kind 'publish'"]


def test_what_is_wrong_with_a_project_is_found_all_at_once(here: Path) -> None:
    tick_project(here, graph="gone.yaml", fixture="gone.jsonl")
    with pytest.raises(ValidationError) as caught:
        Ergo.from_project(here).validate_project()
    assert [(fault.profile, fault.category) for fault in caught.value.faults] == [("p", "host_validation")] * 2
    assert len(caught.value.causes) == 1


def test_every_profile_in_memory_is_looked_at() -> None:
    good, bad = tick_run(ticks(1)), tick_run([tick("a"), tick("a")])
    with pytest.raises(ValidationError) as caught:
        in_memory(good=good, late=bad, early=bad).validate_project()
    assert [fault.profile for fault in caught.value.faults] == ["early", "late"]


@pytest.mark.parametrize("text", [None, "this is no TOML", "name = 1\n"])
def test_a_project_that_cannot_be_read(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "ergo.toml").write_text(text)
    ergo = Ergo.from_project(tmp_path)
    for act in (ergo.validate_project, lambda: ergo.run_profile("p"), lambda: ergo.runner_for_profile("p")):
        with pytest.raises(LibraryError) as caught:
            act()
        assert isinstance(caught.value.cause, LibraryError)
        assert (caught.value.category, caught.value.cause.category) == ("config", "project_load")
    tick_project(tmp_path)
    assert ergo.run_profile("p").summary.events == 2


def test_without_a_project_there_are_no_profiles() -> None:
    ergo = Ergo.builder().build()
    for act in (ergo.validate_project, lambda: ergo.run_profile("p"), lambda: ergo.replay_profile("p", "b.json")):
        with pytest.raises(LibraryError) as caught:
            act()
        assert isinstance(caught.value.cause, LibraryError)
        assert (caught.value.category, caught.value.cause.category) == ("config", "project_not_configured")


def test_the_bundle_of_a_profile_is_of_the_form_that_it_asks_for(tmp_path: Path) -> None:
    tick_project(tmp_path, embed=True, capture_output="b.json")
    ergo = Ergo.from_project(tmp_path)
    kept = ergo.run_profile("p").summary.capture_bundle
    assert kept.capture_version == "v4"
    with ergo.runner_for_profile("p") as runner:
        for number in (1, 2):
            runner.step(replace(tick(f"fixture_evt_{number}", float(number)), at=0))
        assert runner.finish() == kept
    write_capture_bundle(tmp_path / "again.json", kept)
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_bundle_that_cannot_be_written_is_in_the_error(tmp_path: Path) -> None:
    kept = in_memory(p=tick_run(ticks(1))).run_profile("p").summary.capture_bundle
    write_capture_bundle(tmp_path / "b.json.gz", kept, pretty=True)
    with open_bundle(str(tmp_path / "b.json.gz")) as reader:
        assert reader.load() == kept
    with pytest.raises(CaptureError) as caught:
        write_capture_bundle(tmp_path, kept)
    assert (caught.value.category, caught.value.bundle) == ("write", kept)


def test_a_divergence_is_raised_with_all_that_was_found(here: Path) -> None:
    kept = in_memory(p=tick_run(ticks(3))).run_profile("p").summary.capture_bundle
    decisions = tuple(replace(decision, retry_count=1) for decision in kept.decisions)
    with pytest.raises(ReplayError) as caught:
        Ergo.builder().build().replay_bundle(replace(kept, decisions=decisions), GRAPH, adapter=ADAPTER)
    error = caught.value
    assert (error.category, error.code) == ("replay_mismatch", "replay.decision_mismatch")
    assert error.result is not None
    assert [divergence.path for divergence in error.result.divergences] == ["retry_count"] * 3
    assert error.details == ("expected: 1", "got: 0")


@pytest.mark.parametrize(
    ("capture", "graph", "category"),
    [
        ("gone.json", GRAPH, "capture_read"),
        ("ergo.toml", GRAPH, "capture_parse"),
        ("b.json", "gone.yaml", "graph_load"),
        ("b.json", "unknown.yaml", "graph_preparation"),
        ("b.json", assets(GRAPH.read_text().replace("id: tick_flow", "id: other")), "replay_mismatch"),
    ],
)
def test_the_categories_of_a_replay_that_cannot_be(here: Path, capture: str, graph: Any, category: str) -> None:
    tick_project(here, capture_output="b.json")
    Ergo.from_project(here).run_profile("p")
    (here / "unknown.yaml").write_text(GRAPH.read_text().replace("const_bool", "nowhere"))
    with pytest.raises(ReplayError) as caught:
        Ergo.builder().build().replay(ReplayConfig(capture, graph, adapter=ADAPTER))
    assert caught.value.category == category
    assert isinstance(caught.value, ErgoError)


def test_a_profile_ignores_what_it_says_and_tells_what_matched_nothing(here: Path) -> None:
    tick_project(here, capture_output="b.json", ignore=["retry_count", "nowhere"])
    ergo = Ergo.from_project(here)
    kept = ergo.run_profile("p").summary.capture_bundle
    changed = replace(kept, decisions=tuple(replace(decision, retry_count=1) for decision in kept.decisions))
    result = ergo.replay_profile_bundle("p", changed)
    assert ["nowhere" in warning.message for warning in result.warnings] == [True]


@pytest.mark.parametrize(
    "builder",
    [
        Ergo.builder().add_source(price).add_compute(other_price),
        Ergo.builder().add_source(price).add_source(price),
        Ergo.builder().add_trigger(halved),  # type: ignore[arg-type]
        Ergo.builder().add_action(len),  # type: ignore[arg-type]
    ],
)
def test_primitives_that_cannot_be_registered(builder: Any) -> None:
    with pytest.raises(BuildError) as caught:
        builder.build()
    assert caught.value.category == "registration"
    assert caught.value.fix


def test_a_builder_goes_on_without_its_handle(here: Path) -> None:
    graph = GRAPH.read_text().replace("value: true}}", "value: true}}\n  h: {impl: halved@1.0.0}")
    (here / "g.yaml").write_text(graph.replace("x.value -> keep.value", "x.value -> h.value, h.result -> keep.value"))
    config = replace(tick_run(ticks(1)), graph="g.yaml", capture_output="b.json")
    builder = Ergo.builder()
    without = builder.build()
    assert builder.add_compute(halved).build().run(config).summary.events == 1
    with pytest.raises(RunError):
        without.run(config)


def test_own_modules_of_a_project_count_wherever_it_is(tmp_path: Path) -> None:
    project = sample_project(tmp_path, READY, "serve")
    handle = Ergo.builder().project_root(project / "graphs" / "strategy.yaml").channel_policy(PATIENT).build()
    assert handle.validate_project().profiles == ("historical",)
    config = RunConfig(
        project / "graphs" / "strategy.yaml",
        Items("none", [replace(tick("a"), semantic_kind="sample_event", payload={"message": "hi"})]),
        [project / "clusters"],
        project / "adapters" / "sample.yaml",
        capture_output=tmp_path / "b.json",
    )
    with pytest.raises(RunError) as caught:
        handle.run(config)
    assert caught.value.category == "egress_validation"  # its primitives are known, its channels are not named


def test_a_profile_without_events_can_be_run_by_nobody(tmp_path: Path) -> None:
    tick_project(tmp_path)
    write_profile(tmp_path, {"graph": "graph.yaml", "adapter": "adapter.yaml"})
    ergo = Ergo.from_project(tmp_path)
    for act in (lambda: ergo.run_profile("p"), lambda: ergo.runner_for_profile("p")):
        with pytest.raises(LibraryError) as caught:
            act()
        assert caught.value.category == "config"
