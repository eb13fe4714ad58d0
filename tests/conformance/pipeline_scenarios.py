"""The flows of the original's data, as pipeline programs, and their records in the form of that data."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from ergo_cli.core import wire
from ergo_cli.core.time import StandingClock
from ergo_cli.programs.pipeline.authoring import (
    Delivery,
    Event,
    HandlerError,
    StrictMiss,
    join,
    sink,
    source,
    stateful,
    transform,
)
from ergo_cli.programs.pipeline.build import build_flow, build_stages
from ergo_cli.programs.pipeline.flow import Flow
from ergo_cli.programs.pipeline.handlers import finished
from ergo_cli.programs.pipeline.ids import CountedIds, StageId, StageWriter
from ergo_cli.programs.pipeline.lifecycle import Error, Run, StopRequested
from ergo_cli.programs.pipeline.program import PipelineProgram
from ergo_cli.programs.pipeline.receipts import Delivered, NotDelivered, PartlyDelivered
from ergo_cli.programs.pipeline.scheduler import Scheduler
from ergo_cli.programs.pipeline.settings import PipelineSettings
from ergo_cli.programs.pipeline.signals import Checkpoint, Drain, Eof, Watermark
from ergo_cli.programs.pipeline.stages.source import SourceSupervisor
from ergo_cli.programs.pipeline.stop_intent import Cancel
from ergo_cli.programs.pipeline.supervisor import PipelineSupervisor
from ergo_cli.programs.pipeline.topology import StageType
from ergo_cli.stores.memory import MemoryJournal

Payload = dict[str, Any]

EDGES = {
    "src-snk": ["src>snk"],
    "src-tr-snk": ["src>tr", "tr>snk"],
    "src-acc-snk": ["src>acc", "acc>snk"],
    "join": ["rf>jn", "st>jn", "jn>snk"],
    "fanout": ["src>snka", "src>snkb"],
    "fanout-tr": ["src>ta", "src>tb", "ta>snka", "tb>snkb"],
    "fanin": ["s1>snk", "s2>snk"],
    "fanin-tr": ["s1>tr", "s2>tr", "tr>snk"],
    "diamond": ["src>ta", "src>tb", "ta>snk", "tb>snk"],
    "cycle": ["src>en", "en>it", "it>snk", "it>en"],
    "chain": ["src>ta", "ta>tb", "tb>acc", "acc>snk"],
}


def program_of(case: dict[str, Any]) -> PipelineProgram:
    """The program of a scenario."""
    scenario = case["scenario"]
    shape: str = scenario["shape"]
    plain = shape.removesuffix("-interval").replace("aisrc-", "src-").replace("asrc-", "src-").replace("isrc-", "src-")
    edges = tuple((upstream, reader) for upstream, _, reader in (edge.partition(">") for edge in EDGES[plain]))
    names = list(dict.fromkeys(name for edge in edges for name in edge))
    is_infinite = "isrc" in shape
    ids = stage_ids(names)
    made = [stage_of(name, scenario, ids, is_infinite) for name in names]
    mode = case["env"].get("OBZENFLOW_SOURCE_CONTRACT_STRICT_MODE", "abort").lower()
    startup = case["env"].get("OBZENFLOW_STARTUP_MODE", "auto").lower()
    limits = [control[1] for control in scenario.get("control", []) if control[0] == "graceful"]
    settings = PipelineSettings(startup, mode, *limits)
    return PipelineProgram("flow", tuple(made), edges, settings)


def stage_ids(names: list[str]) -> dict[str, StageId]:
    ids = CountedIds("flow")
    return {name: ids.mint(StageId) for name in names}


def stage_of(name: str, scenario: dict[str, Any], ids: dict[str, StageId], is_infinite: bool) -> Any:
    if name in ("src", "s1", "s2", "rf", "st"):
        event_type = scenario.get("types", {}).get(name, "d")
        return source(name, admitting(event_type, ids[name]), infinite=is_infinite)
    if name in ("tr", "ta", "tb", "en", "it"):
        return transform(name, processing(name), drain=failing(scenario.get("drain_err")))
    if name == "acc":
        return accumulator(scenario)
    if name == "jn":
        return joining(scenario)
    return sink(name, consume, flush=failing(scenario.get("flush_err")))


def failing(is_failing: object) -> Callable[[], None]:
    def end() -> None:
        if is_failing:
            raise HandlerError("scripted", "Remote")

    return end


def admitting(event_type: str, own: StageId) -> Callable[[Payload], list[Any]]:
    """The handler of a source over the steps of a script."""

    def admit(payload: Payload) -> list[Any]:
        step = payload["step"]
        match step:
            case {"emit": payloads}:
                return [Event(event_type, each) for each in payloads]
            case {"empty": _} | {"sleep": _}:
                return []
            case {"err": "Transport"}:
                raise HandlerError("scripted", "Remote")
            case {"err": _}:
                raise HandlerError("scripted")
            case {"panic": _}:
                raise RuntimeError("scripted source panic")
            case {"eof": count}:
                author = StageId.digest_of("foreign") if "foreign" in step else own
                return [
                    Eof(natural=True, writer_id=None if "noauthor" in step else StageWriter(author), writer_seq=count)
                ]
            case {"marked": kind, "n": n}:
                return [Event(event_type, {"n": n}).failed("source marked", kind)]
            case {"watermark": _}:
                return [Watermark(timestamp=0)]
            case {"checkpoint": _}:
                return [Checkpoint(id="c")]
            case {"drain": _}:
                return [Drain()]
            case _:
                raise AssertionError(step)

    return admit


def scripted(payload: Payload, name: str, crash: str) -> str:
    """What the script says to a handler; raises if that is an error."""
    said = payload.get(name, "")
    if said.startswith("err:"):
        kind = said.removeprefix("err:")
        raise HandlerError("scripted", None if kind == "Other" else kind)
    if said == "panic":
        raise RuntimeError(crash)
    return said


def processing(name: str) -> Callable[[Event], list[Event]]:
    def process(event: Event) -> list[Event]:
        payload = event.payload
        match scripted(payload, name, "scripted transform panic"):
            case "drop":
                return []
            case "dup":
                return [Event(f"{name}.out", {**payload, "via": via}) for via in "ab"]
            case "same":
                return [Event(event.event_type, payload)]
            case said if said.startswith("mark:"):
                out = Event(f"{name}.out", {**payload, "via": "mark"})
                return [out.failed("transform marked", said.removeprefix("mark:"))]
            case _:
                return [Event(f"{name}.out", {**payload, "via": name})]

    return process


def accumulator(scenario: dict[str, Any]) -> Any:
    every = scenario.get("every")

    def accumulate(state: dict[str, Any], event: Event) -> None:
        if scripted(event.payload, "acc", "scripted accumulator panic") == "fail":
            state["failing"] = True
        state["count"] += 1

    def emit(state: dict[str, Any]) -> list[Event]:
        if state.get("failing"):
            raise HandlerError("scripted", "Remote")
        if state["count"] == 0 and scenario.get("empty_on_zero"):
            return []
        return [Event("acc.out", {"count": state["count"]})]

    return stateful(
        "acc",
        lambda: {"count": 0},
        accumulate,
        emit,
        should_emit=lambda state: every is not None and state["count"] % every == 0,
    )


def joining(scenario: dict[str, Any]) -> Any:
    kind = scenario["join"]

    def process(rows: dict[str, Any], event: Event, upstream: str, writer: object) -> list[Any]:
        payload = event.payload
        said = scripted(payload, "join", "scripted join panic")
        if upstream == "rf":
            rows[payload["k"]] = payload["v"]
            return [Event("join.ref", payload)] if said == "emit" else []
        if payload["k"] in rows:
            return [Event("join.out", {**payload, "v": rows[payload["k"]]})]
        if kind == "strict":
            return [StrictMiss(payload["k"])]
        return [Event("join.out", {**payload, "v": None})] if kind == "left" else []

    def at_eof(rows: dict[str, Any], upstream: str, writer: object) -> list[Event]:
        return [Event("join.eof", {"rows": len(rows)})] if kind == "eofemit" else []

    def drain(rows: dict[str, Any]) -> list[Event]:
        return [Event("join.drain", {"size": len(rows)})] if kind == "drainemit" else []

    live = bool(scenario.get("live"))
    cap = scenario.get("cap", 8)
    return join("jn", "rf", "st", process, on_source_eof=at_eof, drain=drain, live=live, reference_batch=cap)


def consume(event: Event) -> Delivery:
    match scripted(event.payload, "snk", "scripted sink panic"):
        case "failed":
            return Delivery(NotDelivered(error_type="bad", error_message="scripted"))
        case "failed_final":
            return Delivery(NotDelivered(error_type="bad", error_message="scripted", final_attempt=True))
        case "partial":
            return Delivery(PartlyDelivered(1, 1, "scripted"))
        case _:
            return Delivery(Delivered(), bytes_processed=3)


def run(case: dict[str, Any]) -> Scheduler:
    """Run a scenario with the scheduler, sources first, then do what its control says.

    In the original the sources of these flows are done before the stages behind them have read much.
    """
    program = program_of(case)
    flow = build_flow(program, MemoryJournal(), CountedIds("flow"), StandingClock())
    stages = build_stages(flow)
    scheduler = Scheduler(flow, stages)
    scheduler.supervisor = PipelineSupervisor(flow, stages, startup=program.settings.startup)  # ergo's is automatic
    scheduler.begin()
    controls = case["scenario"].get("control", ["run"])
    for control in controls:
        match control:
            case "run" | "start":
                scheduler.supervisor.request(Run())
                scheduler.run_until_rest()
                offer(scheduler, case["scenario"]["sources"], is_whole="graceful" not in str(controls))
                if not is_infinite(case) and "graceful" not in str(controls):
                    scheduler.close(interrupted=False)
            case ["graceful", _]:
                scheduler.close(interrupted=True)
            case "cancel":
                scheduler.supervisor.request(StopRequested(Cancel(), None, 0))
            case ["abort", reason]:
                scheduler.supervisor.request(Error(f"Force abort: {reason}"))
            case _:
                pass
        scheduler.run_until_rest()
    return scheduler


def is_infinite(case: dict[str, Any]) -> bool:
    return "isrc" in case["scenario"]["shape"]


def offer(scheduler: Scheduler, scripts: dict[str, list[Any]], *, is_whole: bool) -> None:
    """Let the sources run ahead; one that is stopped comes no further than where it sleeps."""
    for stage in scheduler.stages:
        if isinstance(stage, SourceSupervisor):
            for step in scripts.get(stage.stage.name, []):
                if "sleep" in step and not is_whole:
                    break
                stage.offer({"step": step})
            while finished(stage.visit(at_rest=False)):
                pass
            if is_whole and stage.stage.type is StageType.FINITE_SOURCE:
                stage.exhaust()
                while finished(stage.visit(at_rest=False)):
                    pass


def state_text(scheduler: Scheduler) -> str:
    return type(scheduler.state).__name__


Row = dict[str, Any]
"""A record without what differs from run to run."""


def rows_of(flow: Flow) -> dict[str, list[Row]]:
    """The records of a flow, journal by journal, as the original's data gives them."""
    names = {str(stage.id): f"STAGE:{stage.name}" for stage in flow.topology.stages}
    names[str(flow.system_id)] = "SYS"
    names[StageId.digest_of("foreign")] = "ID1"
    journals: dict[str, Any] = {"system": flow.system}
    for stage in flow.topology.stages:
        journals[f"data:{stage.name}"] = flow.data[stage.id]
        journals[f"error:{stage.name}"] = flow.errors[stage.id]
    places: dict[str, str] = {}
    for label, journal in journals.items():
        for place, record in enumerate(journal.read_all_unordered(), 1):
            own = names[str(record.event.writer_id.id)].replace("STAGE:", "data:")
            if label == own or record.event_id not in places:
                places[record.event_id] = f"{label}#{place}"
    rows: dict[str, list[Row]] = defaultdict(list)
    for label, journal in journals.items():
        for record in journal.read_all_unordered():
            event = json.loads(wire.encode(record.event))
            row = system_row(event) if label == "system" else chain_row(event)
            clock = {
                names[key.rpartition("_")[2]].removeprefix("STAGE:"): n for key, n in record.vector_clock.clocks.items()
            }
            if label != "system":
                row["clock"] = clock
            row["id"] = event["id"]
            rows[label].append(renamed(row, {**names, **places}))
    return rows


def system_row(event: Row) -> Row:
    row = {key: value for key, value in event.items() if key not in ("id", "timestamp", "writer_id", "duration_ms")}
    row["writer"] = event["writer_id"]["id"]
    return row


def chain_row(event: Row) -> Row:
    row = dict(event["content"])
    row["writer"] = event["writer_id"]["id"]
    info = event["processing_info"]
    if info["status"] != "Success":
        row["status"] = info["status"]
    if "error_hops_remaining" in info:
        row["error_hops_remaining"] = info["error_hops_remaining"]
    if event["causality"]["parent_ids"]:
        row["parents"] = event["causality"]["parent_ids"]
    row["stage_name"] = event["flow_context"]["stage_name"]
    for name in ("vector_clock", "advertised_vector_clock"):
        row.pop(name, None)
    if row.get("flow_control_type") == "eof":
        row.pop("timestamp", None)
    for name in ("processing_duration", "processed_at"):
        row.pop(name, None)
    if isinstance(row.get("value"), dict):
        row["value"] = {key: value for key, value in row["value"].items() if key != "timestamp_ms"}
    return row


def renamed(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: renamed(member, names) for key, member in value.items()}
    if isinstance(value, list):
        return [renamed(item, names) for item in value]
    if isinstance(value, str):
        if value in names:
            return names[value]
        return f"stage_{names[value[6:]]}" if value.startswith("stage_") and value[6:] in names else value
    return value


def expected_rows(case: dict[str, Any]) -> dict[str, list[Row]]:
    """The same of the original's data."""
    rows: dict[str, list[Row]] = {}
    for label, journal in case["journals"].items():
        rows[label] = []
        for record in journal["records"]:
            row = dict(record["event"])
            if label != "system":
                row["clock"] = record["clock"]
            row["id"] = record["id"]
            if isinstance(row.get("value"), dict):
                row["value"] = {key: value for key, value in row["value"].items() if key != "timestamp_ms"}
            rows[label].append(row)
    return rows
