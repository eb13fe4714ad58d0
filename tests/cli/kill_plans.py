"""Captures the mortal plan in processes of their own, kills these, and says what became of its run.

``kill_plans.py STORE FOLDER MODULE``, with one job a line on standard input: ``EVENT CUT …`` for a capture that dies
at the CUT-th call of the plan's functions, and another for every further CUT; a CUT with a decimal point is the part of
the time of a capture and its replay after which the process is killed from outside. A last capture drives the run to
its end and is replayed. For each job one line of JSON tells the deaths, the final snapshot, the facts, what the
transport was asked for, what it was asked for although it was bound, and the exit codes of the last capture and of its
replay.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ergo_cli.cli.app import main as ergo
from ergo_cli.programs.plan.events import Envelope, RunCompleted, fact_of
from ergo_cli.programs.plan.ids import child_run, run_of_event
from ergo_cli.programs.plan.stream import Streams
from ergo_cli.programs.plan.tables import PLAN_TABLES
from ergo_cli.stores.backends import open_store

PROJECT = """\
name = "settle"
version = "1"
[profiles.default]
plan = "mortal_plan:program"
fixture = "events.jsonl"
"""
EVENT = """\
{{"kind":"episode_start","id":"d"}}
{{"kind":"event","event":{{"type":"Command","id":"{}","payload":{{"symbol":"X"}}}}}}
"""


CAPTURE = ("capture", "--continue", "-o", "b.json", "--store")


def main(named: str, folder: str, module: str) -> None:
    os.chdir(folder)
    Path("ergo.toml").write_text(PROJECT.replace("mortal_plan", module))
    duration = 0.0
    for job in sys.stdin:
        event, *cuts = job.split()
        Path("events.jsonl").write_text(EVENT.format(event))
        Path("asked").write_text("")
        deaths, repeated, bound = 0, list[str](), set[str]()
        for cut in cuts:
            known = len(asked())
            deaths += is_killed(started(*CAPTURE, named, cut=cut), cut, duration)
            repeated += [key for key in asked()[known:] if key in bound]
            bound = {key for key, _ in facts(named, event)}
        known, begin = len(asked()), time.monotonic()
        exits = [exit_code(*CAPTURE, named), exit_code("replay", "b.json", "--strict")]
        duration = duration or time.monotonic() - begin
        repeated += [key for key in asked()[known:] if key in bound]
        told = {"deaths": deaths, "asked": asked(), "repeated": repeated, "exits": exits}
        print(json.dumps({**told, **outcome(named, event)}), flush=True)


def outcome(named: str, event: str) -> dict[str, object]:
    ended = stream(named, run_of_event("settle@1", event))[-1].kernel
    assert isinstance(ended, RunCompleted), ended
    return {"snapshot": ended.final_snapshot_id, "facts": sorted(facts(named, event))}


def asked() -> list[str]:
    return Path("asked").read_text().split()


def facts(named: str, event: str) -> Iterator[tuple[str, str]]:
    """The facts of a run and its child, but for those of one attempt alone and those that name the run."""
    run = run_of_event("settle@1", event)
    for envelope in [*stream(named, run), *stream(named, child_run(run, "kid"))]:
        fact = None if envelope.domain is None else fact_of(envelope.domain)
        if fact is not None and not fact.key.startswith("mfm:"):
            yield fact.key, "" if fact.key.startswith("kid") else fact.payload_id


def stream(named: str, run: str) -> list[Envelope]:
    folder = Path(os.environ["XDG_DATA_HOME"])
    with open_store(named, folder, lambda: 0, PLAN_TABLES) as store:
        return Streams(store.journal).read(run)


def started(*arguments: str, cut: str = ".") -> int:
    """The process of a command, which dies by itself where ``cut`` is the number of a call."""
    if "." not in cut:
        Path("cut").write_text(cut)
    child = os.fork()
    if child == 0:
        quiet = os.open("out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        sys.argv = ["ergo", *arguments]
        code = 70
        try:
            ergo()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            os._exit(code)
    return child


def is_killed(child: int, cut: str, duration: float) -> bool:
    """Whether the process was killed before it came to the end."""
    if "." in cut:
        time.sleep(float(cut) * duration)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), (status, Path("out").read_text())
    Path("cut").unlink(missing_ok=True)
    return status != 0


def exit_code(*arguments: str) -> int:
    _, status = os.waitpid(started(*arguments), 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        sys.stderr.write(Path("out").read_text())
    return code


if __name__ == "__main__":
    main(*sys.argv[1:])
