"""All stores give the same answers to the same requests, and those of a list in memory (spec 40 §13.4)."""

from __future__ import annotations

from collections.abc import Callable, Generator
from itertools import count
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from ergo_cli.core.json import canonical
from ergo_cli.errors import StoreError
from ergo_cli.programs.kernel.tables import KERNEL_TABLES
from ergo_cli.stores.backends import RunStore, memory_store, open_store
from ergo_cli.stores.journals import StoredSnapshot

EXAMPLES = count(1)
NAMES = st.sampled_from(["a", "a/2", "ä"])
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
TEXTS = VALUES.map(lambda value: canonical(value).decode())
SEQS = st.integers(-1, 12)


class Agreement(RuleBasedStateMachine):
    """Asks every store the same; ``model`` and ``snapshots`` are what the answer must come from."""

    stores: tuple[RunStore, ...] = ()

    @initialize()
    def begin(self) -> None:
        self.prefix = f"{next(EXAMPLES)}:"  # the stores outlive the example
        self.model: dict[str, list[str]] = {}
        self.snapshots: dict[str, dict[int, StoredSnapshot]] = {}

    def agree(self, ask: Callable[[RunStore], object], expected: object) -> None:
        assert [answer(ask, store) for store in self.stores] == [expected] * len(self.stores)

    @rule(name=NAMES, texts=st.lists(TEXTS, max_size=4), expected=st.none() | st.integers(0, 6) | st.just("head"))
    def append(self, name: str, texts: list[str], expected: int | str | None) -> None:
        run = self.prefix + name
        head = len(self.model.get(run, ()))
        wanted = head if isinstance(expected, str) else expected
        if wanted in (None, head):
            self.model.setdefault(run, []).extend(texts)
            head += len(texts)
            self.agree(lambda store: store.journal.append(run, texts, wanted), head)
        else:
            self.agree(lambda store: store.journal.append(run, texts, wanted), "store.conflict")

    @rule(name=NAMES, start=SEQS, to=st.none() | SEQS)
    def scan(self, name: str, start: int, to: int | None) -> None:
        records = list(enumerate(self.model.get(self.prefix + name, ()), 1))
        expected = [(seq, text) for seq, text in records if start <= seq and (to is None or seq <= to)]
        self.agree(lambda store: list(store.journal.scan(self.prefix + name, start, to)), expected)

    @rule(name=NAMES, at_seq=st.integers(0, 9), text=TEXTS, version=st.integers(0, 2**32 - 1))
    def save(self, name: str, at_seq: int, text: str, version: int) -> None:
        run = self.prefix + name
        self.snapshots.setdefault(run, {})[at_seq] = StoredSnapshot(run, at_seq, text, version)
        self.agree(lambda store: store.snapshots.save(run, at_seq, text, version), None)

    @rule(name=NAMES, keep=st.integers(0, 3))
    def prune(self, name: str, keep: int) -> None:
        kept = self.snapshots.get(self.prefix + name, {})
        for at_seq in sorted(kept, reverse=True)[keep:]:
            del kept[at_seq]
        self.agree(lambda store: store.snapshots.prune(self.prefix + name, keep), None)

    @rule(name=NAMES)
    def drop(self, name: str) -> None:
        self.snapshots.pop(self.prefix + name, None)
        self.agree(lambda store: store.snapshots.drop(self.prefix + name), None)

    @rule()
    def reopen(self) -> None:
        self.agree(lambda store: store.close(), None)

    @invariant()
    def heads_snapshots_and_runs_agree(self) -> None:
        for run in [self.prefix + name for name in ("a", "a/2", "ä")]:
            self.agree(lambda store, run=run: store.journal.head(run), len(self.model.get(run, ())))
            kept = self.snapshots.get(run, {})
            latest = kept[max(kept)] if kept else None
            self.agree(lambda store, run=run: store.snapshots.load_latest(run), latest)
        known = sorted(run for run, texts in self.model.items() if texts)
        self.agree(lambda store: [run for run in store.journal.runs() if run.startswith(self.prefix)], known)


def answer(ask: Callable[[RunStore], object], store: RunStore) -> object:
    try:
        return ask(store)
    except StoreError as error:
        return error.code


def check(*stores: RunStore) -> None:
    machine = type("Agreement", (Agreement,), {"stores": stores})
    run_state_machine_as_test(machine, settings=settings(max_examples=25, stateful_step_count=20))


@pytest.fixture
def sqlite(tmp_path: Path) -> Generator[RunStore]:
    with open_store(f"sqlite:{tmp_path}/runs.db", tmp_path, lambda: 0, KERNEL_TABLES) as store:
        yield store


def test_memory_and_sqlite_agree(sqlite: RunStore) -> None:
    check(memory_store(), sqlite)


def test_memory_and_postgres_agree(postgres: str, tmp_path: Path) -> None:
    with open_store(f"postgres:{postgres}", tmp_path, lambda: 0, KERNEL_TABLES) as store:
        check(memory_store(), store)
