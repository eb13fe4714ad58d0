"""Projects of the waiting agent with a run in a store, and what is read from and done to such a store."""

from __future__ import annotations

import shutil
from pathlib import Path

from ergo_cli.programs.kernel.engine.events import RunBlocked
from ergo_cli.programs.kernel.engine.state import InitialStates
from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.stores.backends import open_store
from tests.cli import waiting_agent

PROJECT = """\
name = "waiting"
version = "0.1.0"
[profiles.default]
kernel = "waiting_agent:program"
store = "{store}"
"""
PAYLOAD = {"amount": 5}


def make_project(folder: Path, store: str = "sqlite:runs.db") -> None:
    """A project whose profile keeps runs in ``store``."""
    shutil.copy(waiting_agent.__file__, folder)
    (folder / "ergo.toml").write_text(PROJECT.format(store=store))


def begin_run(named: str, folder: Path, run: str = "run", *, is_begun_by_ergo: bool = True) -> None:
    """Begin a run, which asks at seq 2; a library that begins runs need not keep their initial states."""
    program = waiting_agent.program
    with open_store(named, folder, lambda: 0, KERNEL_TABLES) as store:
        state = program.first_state(PAYLOAD)
        if is_begun_by_ergo:
            InitialStates(store.snapshots, program.codec).keep(run, state)
        kernel = program.kernel(store.journal, waiting_agent.execute, snapshots=store.snapshots)
        assert isinstance(kernel.run_until_blocked(run, state), RunBlocked)


def log_of(named: str, folder: Path, run: str = "run") -> list[str]:
    """The events of a run."""
    with open_store(named, folder, lambda: 0, KERNEL_TABLES) as store:
        return [text for _, text in store.journal.scan(run)]
