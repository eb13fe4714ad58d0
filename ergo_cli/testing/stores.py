"""Conformance tests for stores: derive from a class, provide the fixture it names, and pytest runs its tests.

::

    class TestMyJournal(JournalSuite):
        @pytest.fixture
        def journal(self):
            with MyStore() as store:
                yield store.journal
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from hashlib import sha256
from threading import Barrier, Thread

from ergo_cli.errors import StoreError
from ergo_cli.stores.artifacts import ArtifactStore, DifferenceStore
from ergo_cli.stores.backends import RunStore
from ergo_cli.stores.journals import HIGHEST_SEQ, EventJournal, SnapshotStore, StoredSnapshot
from ergo_cli.stores.leases import STALE_MS, Driver, Leases, Owner

A, B, C = '"Completed"', '{"Resumed":{"value":"ä😀\\u0000"}}', '{"StateUpdated":{"payload":1e16,"step_id":null}}'
"""Three records: plain, with every kind of text, with a number that some databases do not keep unchanged."""


class Refusal:
    """The error that a ``refused`` block raised, set after the block."""

    error: StoreError


@contextmanager
def refused(code: str, *words: str) -> Generator[Refusal]:
    """Assert that the block raises a StoreError of this code that contains ``words`` and has a fix."""
    refusal = Refusal()
    try:
        yield refusal
    except StoreError as error:
        refusal.error = error
    assert hasattr(refusal, "error"), f"{code} was not raised"
    shown = f"{refusal.error.code}: {refusal.error.message} ({refusal.error.where})"
    assert refusal.error.code == code, shown
    assert refusal.error.fix, shown
    assert [word for word in words if word not in shown] == [], shown


class JournalSuite:
    """An EventJournal; fixture ``journal`` gives an empty one (spec 00 §13.3, 40 §4, §13)."""

    def test_an_unknown_run_is_empty(self, journal: EventJournal) -> None:
        """Head 0, no records, not listed; appending nothing changes none of it."""
        assert journal.head("unknown") == 0
        assert list(journal.scan("unknown")) == []
        assert journal.append("unknown", []) == 0
        assert journal.append("unknown", [], 0) == 0
        assert journal.runs() == []

    def test_records_are_numbered_from_one_and_come_back_as_they_went(self, journal: EventJournal) -> None:
        """Appending returns the number of the last record; an empty append the head."""
        assert journal.append("r", [A]) == 1
        assert journal.append("r", [B, C]) == 3
        assert journal.append("r", []) == 3
        assert journal.head("r") == 3
        assert list(journal.scan("r")) == [(1, A), (2, B), (3, C)]

    def test_a_scan_has_both_its_ends(self, journal: EventJournal) -> None:
        """Bounds are inclusive; a start below 1 is 1; bounds may lie behind the last record."""
        journal.append("r", [A, B, C])
        bounds = [(0, None), (-5, 1), (2, None), (2, 2), (3, 9), (3, 2), (4, None), (1, 0), (2, HIGHEST_SEQ + 1)]
        seqs = [[seq for seq, _ in journal.scan("r", start, to)] for start, to in bounds]
        assert seqs == [[1, 2, 3], [1], [2, 3], [2], [3], [], [], [], [2, 3]]

    def test_a_long_run_is_scanned_whole(self, journal: EventJournal) -> None:
        """Every page is read, whatever its size, and writing while scanning is allowed."""
        journal.append("r", [str(number) for number in range(1, 1001)])
        scanned = [journal.append("other", [text]) for _, text in journal.scan("r")]
        assert scanned == list(range(1, 1001))
        assert [int(text) for _, text in journal.scan("r", 200, 900)] == list(range(200, 901))

    def test_runs_do_not_see_each_other(self, journal: EventJournal) -> None:
        """Each run has its own numbers; ids are listed ascending by code point."""
        ids = ["b", "B", "a/2", "a/10", "ä", "z\uffff", "😀", " ", "a'b\"c%s"]
        heads = [journal.append(run, [f'"{number}"'] * (number + 1)) for number, run in enumerate(ids)]
        assert heads == list(range(1, len(ids) + 1))
        assert [journal.head(run) for run in ids] == heads
        assert [text for _, text in journal.scan("ä")] == ['"4"'] * 5
        assert journal.runs() == sorted(ids)

    def test_a_wrong_expected_head_writes_nothing(self, journal: EventJournal) -> None:
        """The conflict names the run; the right head is taken."""
        assert journal.append("r", [A], 0) == 1
        for expected in (0, 2):
            with refused("store.conflict", "'r'"):
                journal.append("r", [B], expected)
        with refused("store.conflict", "'r'"):
            journal.append("r", [], 7)
        assert list(journal.scan("r")) == [(1, A)]
        assert journal.append("r", [B, C], 1) == 3

    def test_a_batch_is_appended_whole_or_not_at_all(self, journal: EventJournal) -> None:
        """A text that cannot be UTF-8 also prevents writing those before it."""
        journal.append("r", [A])
        try:
            journal.append("r", [B, '"\ud800"'])
        except ValueError:
            pass
        else:
            raise AssertionError("a lone surrogate was taken")
        assert list(journal.scan("r")) == [(1, A)]
        assert journal.append("r", [C]) == 2

    def test_threads_queue(self, journal: EventJournal) -> None:
        """Four threads that append to one run leave every record, each thread's in its order, and no gap."""
        threads = [Thread(target=_append_many, args=(journal, name)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        records = list(journal.scan("r"))
        assert [seq for seq, _ in records] == list(range(1, 101))
        for name in "abcd":
            assert [text for _, text in records if name in text] == [f'"{name}{number}"' for number in range(25)]


class SnapshotSuite:
    """A SnapshotStore; fixture ``snapshots`` gives an empty one (spec 40 §4, §13, §20)."""

    def test_there_is_none_at_first(self, snapshots: SnapshotStore) -> None:
        """Loading returns None; removing nothing does not raise."""
        snapshots.drop("r")
        snapshots.prune("r", 3)
        assert snapshots.load_latest("r") is None

    def test_a_snapshot_comes_back_as_it_went(self, snapshots: SnapshotStore) -> None:
        """Text and version of the state's form, of the run asked for."""
        snapshots.save("r", 9, '{"k":"v","x":1e16,"ä":"\\u0000"}', 4)
        snapshots.save("other", 10, "7")
        assert snapshots.load_latest("r") == StoredSnapshot("r", 9, '{"k":"v","x":1e16,"ä":"\\u0000"}', 4)
        assert snapshots.load_latest("other") == StoredSnapshot("other", 10, "7", 0)

    def test_the_highest_wins_not_the_last(self, snapshots: SnapshotStore) -> None:
        """Saved at 3, 7, 5: the one at 7."""
        for at_seq in (3, 7, 5):
            snapshots.save("r", at_seq, str(at_seq))
        assert snapshots.load_latest("r") == StoredSnapshot("r", 7, "7")

    def test_the_same_place_is_replaced(self, snapshots: SnapshotStore) -> None:
        """Text and version are both those of the later snapshot."""
        snapshots.save("r", 3, "1", 5)
        snapshots.save("r", 3, "2")
        assert snapshots.load_latest("r") == StoredSnapshot("r", 3, "2", 0)

    def test_pruning_keeps_the_highest(self, snapshots: SnapshotStore) -> None:
        """Only snapshots of this run are removed."""
        for at_seq in range(1, 10):
            snapshots.save("r", at_seq, str(at_seq))
        snapshots.save("other", 1, "1")
        snapshots.prune("r", 2)
        assert snapshots.load_latest("r") == StoredSnapshot("r", 9, "9")
        snapshots.prune("r", 0)
        assert snapshots.load_latest("r") is None
        assert snapshots.load_latest("other") is not None

    def test_a_dropped_run_has_none(self, snapshots: SnapshotStore) -> None:
        """New snapshots may be lower than the dropped ones."""
        snapshots.save("r", 9, "9")
        snapshots.drop("r")
        assert snapshots.load_latest("r") is None
        snapshots.save("r", 1, "1")
        assert snapshots.load_latest("r") == StoredSnapshot("r", 1, "1")


class ArtifactSuite:
    """An ArtifactStore; fixture ``artifacts`` gives an empty one (spec 50 §9.1)."""

    def test_the_id_is_the_digest(self, artifacts: ArtifactStore) -> None:
        """This holds for any bytes, also for none."""
        for data in (b"", b"{}", bytes(range(256)) * 1000):
            assert artifacts.put(data) == sha256(data).hexdigest()
            assert artifacts.get(sha256(data).hexdigest()) == data

    def test_the_same_bytes_again_change_nothing(self, artifacts: ArtifactStore) -> None:
        """The same id, the same bytes."""
        assert artifacts.put(b"x") == artifacts.put(b"x")
        assert artifacts.get(artifacts.put(b"x")) == b"x"

    def test_an_absent_artifact_is_not_found(self, artifacts: ArtifactStore) -> None:
        """``exists`` returns False, ``get`` raises; a path is not an id."""
        artifacts.put(b"x")
        for absent in (
            "0" * 64,
            sha256(b"x").hexdigest().upper(),
            "",
            "../x",
            "0" * 63,
            sha256(b"x").hexdigest() + "\n",
        ):
            assert not artifacts.exists(absent)
            with refused("store.not_found", absent.strip()):
                artifacts.get(absent)
        assert artifacts.exists(sha256(b"x").hexdigest())


class DifferenceSuite:
    """A DifferenceStore; fixture ``artifacts`` gives an empty one (B-11)."""

    def test_what_is_kept_as_a_difference_is_whole_to_readers(self, artifacts: DifferenceStore) -> None:
        """Each of a line of growing artifacts, also one that is not like the one before, and the empty one."""
        line = [bytes(range(256)) * 20]
        for number in range(300):
            line.append(line[-1][:100] + bytes([number % 256]) * 50 + line[-1][100:] + str(number).encode())
        line += [b"", b"other" * 2000, line[7]]
        near = artifacts.put(line[0])
        for data in line[1:]:
            near = artifacts.put_near(data, near)
            assert near == sha256(data).hexdigest()
        assert [artifacts.get(sha256(data).hexdigest()) == data for data in line] == [True] * len(line)
        assert all(artifacts.exists(sha256(data).hexdigest()) for data in line)

    def test_the_artifacts_behind_one_are_few_and_there(self, artifacts: DifferenceStore) -> None:
        """Following ``references`` ends at a whole artifact after less than a hundred steps."""
        data = bytes(range(256)) * 20
        near = artifacts.put(data)
        assert artifacts.references(near) == ()
        for number in range(300):
            data += str(number).encode()
            near = artifacts.put_near(data, near)
            behind = near
            for _ in range(100):
                if not artifacts.references(behind):
                    break
                [behind] = artifacts.references(behind)
                assert artifacts.exists(behind)
            assert artifacts.references(behind) == ()

    def test_an_absent_artifact_has_no_references(self, artifacts: DifferenceStore) -> None:
        """``store.not_found``, also for the artifact that another one is said to be like."""
        with refused("store.not_found", "0" * 64):
            artifacts.references("0" * 64)
        with refused("store.not_found", "0" * 64):
            artifacts.put_near(bytes(5000), "0" * 64)


class DurabilitySuite:
    """Stores that outlast the process; fixture ``reopen`` opens the same place anew at each call, empty at first."""

    def test_records_survive(self, reopen: Callable[[], RunStore]) -> None:
        """Head and scan after reopening; appending goes on behind the head."""
        with reopen() as store:
            assert store.journal.append("r", [A, B, C]) == 3
        with reopen() as store:
            assert store.journal.head("r") == 3
            assert list(store.journal.scan("r")) == [(1, A), (2, B), (3, C)]
            assert store.journal.append("r", [A]) == 4

    def test_the_highest_snapshot_survives(self, reopen: Callable[[], RunStore]) -> None:
        """Saved at 3, 7, 5, it is that at 7."""
        with reopen() as store:
            for at_seq in (3, 7, 5):
                store.snapshots.save("r", at_seq, f'{{"counter":{at_seq}}}', 2)
        with reopen() as store:
            assert store.snapshots.load_latest("r") == StoredSnapshot("r", 7, '{"counter":7}', 2)

    def test_a_snapshot_and_the_tail_behind_it_survive(self, reopen: Callable[[], RunStore]) -> None:
        """Two records, a snapshot, three more."""
        with reopen() as store:
            store.journal.append("r", [A, A])
            store.snapshots.save("r", 2, "2")
            store.journal.append("r", [B, B, B])
        with reopen() as store:
            assert store.snapshots.load_latest("r") == StoredSnapshot("r", 2, "2")
            assert list(store.journal.scan("r", 3)) == [(3, B), (4, B), (5, B)]
            assert len(list(store.journal.scan("r"))) == store.journal.head("r") == 5

    def test_attempts_and_artifacts_survive_apart_from_the_records(self, reopen: Callable[[], RunStore]) -> None:
        """Attempts are not part of the run's log."""
        with reopen() as store:
            store.attempts.append("r", [A, B])
            kept = store.artifacts.put(b"x")
        with reopen() as store:
            assert list(store.attempts.scan("r")) == [(1, A), (2, B)]
            assert store.artifacts.get(kept) == b"x"
            assert store.journal.runs() == []

    def test_two_open_stores_see_each_other(self, reopen: Callable[[], RunStore]) -> None:
        """Each continues from what the other appended; an outdated head is refused."""
        with reopen() as one, reopen() as other:
            assert one.journal.append("r", [A], 0) == 1
            with refused("store.conflict"):
                other.journal.append("r", [B], 0)
            assert other.journal.append("r", [B], 1) == 2
            assert list(one.journal.scan("r")) == [(1, A), (2, B)]

    def test_a_closed_store_opens_again(self, reopen: Callable[[], RunStore]) -> None:
        """Closing releases connections and loses nothing."""
        store = reopen()
        store.journal.append("r", [A])
        store.close()
        assert store.journal.head("r") == 1
        store.close()


def _append_many(journal: EventJournal, name: str) -> None:
    for number in range(25):
        journal.append("r", [f'"{name}{number}"'])


Open = Callable[[Driver], RunStore]
"""Opens the same place, each time for another driver; empty at first."""


class SetClock:
    """A clock that stands where it is put."""

    now_ms = 1_700_000_000_000

    def __call__(self) -> int:
        """The time, in ms since 1970."""
        return self.now_ms


class LeaseSuite:
    """Leases of runs, and journals that heed them; fixture ``opened`` is an ``Open`` (spec 50 §23, B-12)."""

    def test_a_run_that_is_driven_is_refused_with_owner_and_age(self, opened: Open) -> None:
        """Also to another driver of the same process; a run beside it is free, and so is the run once it was left."""
        clock = SetClock()
        one, other = _leases(opened, "one", clock), _leases(opened, "other", clock)
        with one.driving("r"):
            clock.now_ms += 12_000
            with (
                refused("store.run_busy", "'r'", "7@here (one)", "for 12 s", "12 s ago") as refusal,
                other.driving("r"),
            ):
                pass
            assert refusal.error.where == "run 'r', driven by 7@here (one) for 12 s"
            with other.driving("beside"):
                assert [(run, str(lease.owner)) for run, lease in one.owners().items()] == [
                    ("beside", "7@here (other)"),
                    ("r", "7@here (one)"),
                ]
        assert (one.owner_of("r"), one.owners()) == (None, {})
        with other.driving("r"):
            assert str(getattr(one.owner_of("r"), "owner", None)) == "7@here (other)"

    def test_a_block_inside_of_another_shares_the_lease(self, opened: Open) -> None:
        """It ends with the outer one, also where an error leaves both."""
        one, other = _leases(opened, "one"), _leases(opened, "other")
        with suppress(ZeroDivisionError), one.driving("r") as outer:
            with one.driving("r") as inner:
                assert inner is outer
            with refused("store.run_busy"), other.driving("r"):
                pass
            raise ZeroDivisionError
        with other.driving("r"):
            pass

    def test_a_lease_without_a_heartbeat_goes_stale(self, opened: Open) -> None:
        """Not a millisecond before; a heartbeat begins the time anew."""
        clock = SetClock()
        one, other = _leases(opened, "one", clock), _leases(opened, "other", clock)
        with one.driving("r"):
            clock.now_ms += STALE_MS
            one.beat()
            clock.now_ms += STALE_MS - 1
            with refused("store.run_busy", "for 59 s", "29 s ago"), other.driving("r"):
                pass
            clock.now_ms += 1
            assert other.owner_of("r") is None
            with other.driving("r"):
                one.beat()
                with refused("store.run_busy", "(other)"), _leases(opened, "third", clock).driving("r"):
                    pass

    def test_the_run_of_a_process_that_is_gone_is_free_at_once(self, opened: Open) -> None:
        """What counts is the process that took it."""
        one, other = _leases(opened, "one"), _leases(opened, "other")
        after = opened(Driver(_owner("after"), SetClock(), lambda owner: owner.name == "one", "after")).leases
        assert after is not None
        with one.driving("r"), other.driving("s"):
            assert list(after.owners()) == ["s"]
            with after.driving("r"), refused("store.run_busy", "(after)"):
                one.held["r"].refresh()
            with refused("store.run_busy", "(other)"), after.driving("s"):
                pass

    def test_who_has_lost_a_lease_appends_nothing(self, opened: Open) -> None:
        """The error names the new owner, as long as there is one; the run goes on under the new lease."""
        clock = SetClock()
        old, new = (opened(Driver(_owner(name), clock, lambda _: False, name)) for name in ("old", "new"))
        with old.driving("r"):
            assert old.journal.append("r", [A], 0) == 1
            clock.now_ms += STALE_MS
            with new.driving("r"):
                assert new.journal.append("r", [B], 1) == 2
                with refused("store.run_busy", "(new)"):
                    old.journal.append("r", [C], 2)
                assert old.journal.append("beside", [C], 0) == 1
            with refused("store.run_busy", "'r'"):
                old.journal.append("r", [C], 2)
        assert list(new.journal.scan("r")) == [(1, A), (2, B)]
        with old.driving("r"):
            assert old.journal.append("r", [C], 2) == 3

    def test_leases_are_no_records(self, opened: Open) -> None:
        """A run is known by its records alone."""
        store = opened(Driver(_owner("one"), SetClock(), lambda _: False, "one"))
        with store.driving("r"):
            assert (store.journal.runs(), store.journal.head("r"), list(store.journal.scan("r"))) == ([], 0, [])

    def test_of_many_only_one_drives(self, opened: Open) -> None:
        """Threads that want the same lease at once."""
        clock, begun, done = SetClock(), Barrier(4), Barrier(4)
        stores = [opened(Driver(_owner(name), clock, lambda _: False, name)) for name in "abcd"]
        drove: list[str] = []

        def drive(name: str, store: RunStore) -> None:
            begun.wait()
            with suppress(StoreError):
                with store.driving("r"):
                    drove.append(name)
                    done.wait()
                return
            done.wait()

        threads = [Thread(target=drive, args=pair) for pair in zip("abcd", stores, strict=True)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(drove) == 1

    def test_a_request_to_cancel_reaches_the_driver(self, opened: Open) -> None:
        """At its next append, or when it looks; a run that is not driven has none to ask."""
        one, other = _store(opened, "one"), _leases(opened, "other")
        other.request_cancel("r")
        with one.driving("r") as lease:
            assert lease is not None
            other.request_cancel("r")
            assert not lease.is_cancelled
            one.journal.append("r", [A])
            assert lease.is_cancelled
        with one.driving("s") as lease:
            assert lease is not None
            lease.refresh()
            assert not lease.is_cancelled
            other.request_cancel("s")
            lease.refresh()
            assert lease.is_cancelled

    def test_a_request_and_a_parent_stay_until_the_run_has_ended(self, opened: Open) -> None:
        """Also one that the driver has not seen; the run is free meanwhile."""
        one, other = _leases(opened, "one"), _leases(opened, "other")
        with one.driving("r"), one.driving("child", "r"):
            other.request_cancel("r")
        assert (one.owners(), one.children("r")) == ({}, ["child"])
        with other.driving("r") as lease, other.driving("child") as child:
            assert lease.is_cancelled
            assert not child.is_cancelled
            lease.has_ended = child.has_ended = True
        assert one.children("r") == []
        with one.driving("r") as lease:
            assert not lease.is_cancelled

    def test_a_child_is_cancelled_with_its_parent(self, opened: Open) -> None:
        """While both are driven."""
        one, other = _leases(opened, "one"), _leases(opened, "other")
        with one.driving("r"), one.driving("child", "r") as child:
            other.request_cancel("r")
            child.refresh()
            assert child.is_cancelled


def _owner(name: str) -> Owner:
    return Owner("here", 7, name)


def _store(opened: Open, name: str, clock: Callable[[], int] | None = None) -> RunStore:
    return opened(Driver(_owner(name), clock or SetClock(), lambda _: False, name))


def _leases(opened: Open, name: str, clock: Callable[[], int] | None = None) -> Leases:
    leases = _store(opened, name, clock).leases
    assert leases is not None
    return leases
