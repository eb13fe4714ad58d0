"""Captures a pipeline in processes of its own, kills these, and tells what became of its flow.

``kill_flows.py STORE FOLDER``, the folder being a project, with one job a line on standard input: its deaths, none or
many. ``aN`` dies at the N-th append before it is made, ``bN`` behind it, ``eN`` in the N-th call of an executor, whose
deed is done; a number with a decimal point is the part of the time of a capture after which the process is killed from
outside. A last capture goes on without one and is replayed with ``--strict``. Each job has an empty store. One line of
JSON tells how many died, the deeds (lines of the file ``deeds``) before and in the last capture, both exit codes, and
the digest of the bundle.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import ergo_cli.cli.capture
import ergo_cli.cli.replay
import ergo_cli.host.perform
import ergo_cli.programs.pipeline.kind
import ergo_cli.replay.engine
import ergo_cli.stores.postgres
import ergo_cli.stores.sqlite  # noqa: F401 - what each process would import by itself
from ergo_cli.cli.app import main as ergo
from ergo_cli.stores.database import TableJournal

CAPTURE = ("capture", "-o", "b.json", "--store")


def main(named: str, folder: str) -> None:
    os.chdir(folder)
    exit_code("capture", "-o", "warm.json")
    duration = 0.0
    for job in sys.stdin:
        empty(named)
        Path("deeds").write_text("")
        begin = time.monotonic()
        died = [is_killed(started(*CAPTURE, named, death=death), death, duration) for death in job.split()]
        before = len(deeds())
        code = exit_code(*CAPTURE, named)
        duration = duration or time.monotonic() - begin
        exits = [code, exit_code("replay", "b.json", "--strict")]
        digest = sha256(Path("b.json").read_bytes()).hexdigest()
        told = {"deaths": sum(died), "before": deeds()[:before], "last": deeds()[before:]}
        print(json.dumps({**told, "exits": exits, "bundle": digest}), flush=True)


def deeds() -> list[str]:
    return Path("deeds").read_text().split()


def empty(named: str) -> None:
    kind, _, place = named.partition(":")
    if kind == "sqlite":
        for suffix in ("", "-wal", "-shm"):
            Path(place + suffix).unlink(missing_ok=True)
        return
    import psycopg

    with psycopg.connect(place, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS pipeline_records, run_leases")


def started(*arguments: str, death: str = "") -> int:
    """The process of a command, which dies by itself where ``death`` says so."""
    child = os.fork()
    if child == 0:
        quiet = os.open("out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(quiet, 1)
        os.dup2(quiet, 2)
        if death[:1] in ("a", "b"):
            die_at_append(int(death[1:]), is_before=death[0] == "a")
        elif death[:1] == "e":
            os.environ["DEATH"] = death[1:]
        sys.argv = ["ergo", *arguments]
        code = 70
        try:
            ergo()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            os._exit(code)
    return child


def die_at_append(number: int, *, is_before: bool) -> None:
    append, left = TableJournal[Any].append, number

    def mortal(journal: Any, run: str, texts: Sequence[str], expected_head: int | None = None) -> int:
        nonlocal left
        left -= 1
        if left == 0 and is_before:
            os.kill(os.getpid(), signal.SIGKILL)
        head = append(journal, run, texts, expected_head)
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return head

    TableJournal.append = mortal  # pyright: ignore[reportAttributeAccessIssue] - this process is to die


def is_killed(child: int, death: str, duration: float) -> bool:
    """Whether the process was killed before it came to the end."""
    if "." in death:
        time.sleep(float(death) * duration)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert status in (0, signal.SIGKILL), (status, Path("out").read_text())
    return status != 0


def exit_code(*arguments: str) -> int:
    _, status = os.waitpid(started(*arguments), 0)
    code = os.waitstatus_to_exitcode(status)
    if code:
        sys.stderr.write(Path("out").read_text())
    return code


if __name__ == "__main__":
    main(*sys.argv[1:])
