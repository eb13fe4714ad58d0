"""Leases: who drives a run, so that no other process drives it at the same time (spec 50 §23, B-12).

A run that is driven has a row with its owner and the time of its last heartbeat. A row is free once its owner's process
is seen to be gone, or once it has had no heartbeat for ``STALE_MS``; the next owner then takes it over, and the old one
cannot append any more. Rows are no part of a run: no stream, snapshot or bundle holds anything of them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from secrets import token_hex
from threading import Event, Thread
from types import MappingProxyType
from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.errors import StoreError

STALE_MS = 30_000
"""A lease without a heartbeat for this long may be taken over."""

HEARTBEAT_SECONDS = 5.0
"""The time between two heartbeats."""


class Owner(Struct, frozen=True):
    """A process that drives runs; ``name`` says what it does.

    ``place`` is the system that the pid belongs to, ``born`` when the process started, in that system's own terms; both
    are empty where that cannot be seen.
    """

    host: str
    pid: int
    name: str
    place: str = ""
    born: str = ""

    def __str__(self) -> str:
        return f"{self.pid}@{self.host} ({self.name})"


class Lease(Struct, frozen=True):
    """The row of a run. ``holder`` identifies the one who drives it; empty, the run is not driven.

    ``parent`` is the run that spawned it. ``is_cancelled``: somebody asks the owner to end the run.
    """

    run: str
    holder: str
    owner: Owner
    taken_ms: int
    beat_ms: int
    parent: str | None = None
    is_cancelled: bool = False


class LeaseRows(Protocol):
    """Where leases are kept, one row a run. Every method raises StoreError.

    What is written need not survive a power cut: no process does either.
    """

    def insert(self, lease: Lease) -> bool:
        """Add the row of a run; False, and nothing happens, if there is one."""
        ...

    def replace(self, known: Lease, lease: Lease) -> bool:
        """Write ``lease`` in place of ``known``.

        False, and nothing happens, if the row has another holder, heartbeat or request by now.
        """
        ...

    def find(self, run: str) -> Lease | None:
        """The row of a run; None if there is none."""
        ...

    def every(self) -> list[Lease]:
        """All rows, ascending by run."""
        ...

    def remove(self, known: Lease) -> bool:
        """Remove the row of a run; False, and nothing happens, if it has another holder or request by now."""
        ...


class Driver(Struct, frozen=True):
    """One that takes leases: its process, a clock in ms since 1970, and a look at whether another process is gone.

    ``holder`` is different for each.
    """

    owner: Owner
    wall_ms: Callable[[], int]
    is_gone: Callable[[Owner], bool] = lambda _: False
    holder: str = ""

    @classmethod
    def of(cls, owner: Owner, wall_ms: Callable[[], int], is_gone: Callable[[Owner], bool]) -> Driver:
        """A driver with a holder of its own."""
        return cls(owner, wall_ms, is_gone, token_hex(16))

    def lease(self, run: str, parent: str | None = None) -> Lease:
        """A lease that begins now."""
        now = self.wall_ms()
        return Lease(run, self.holder, self.owner, now, now, parent)

    def may_take(self, lease: Lease) -> bool:
        """Whether a lease is free: given back, stale, or of a process that is gone."""
        stale = self.wall_ms() - lease.beat_ms >= STALE_MS
        return not lease.holder or stale or self.is_gone(lease.owner)


class HeldLease:
    """A lease while its run is driven; journals check it with every append."""

    def __init__(self, leases: Leases, lease: Lease, parent: HeldLease | None) -> None:
        self._leases = leases
        self._parent = parent
        self.lease = lease
        self.blocks = 0
        """How many blocks share it: one that was abandoned by its thread may outlast those around it."""
        self.has_ended = False
        """Whether the driven run has come to its end; set by the one who drives it."""

    @property
    def is_cancelled(self) -> bool:
        """Whether this run, or the one that spawned it, is to be ended, as far as was seen."""
        return self.lease.is_cancelled or (self._parent is not None and self._parent.is_cancelled)

    def refresh(self) -> None:
        """Look at the rows again. Raises StoreError ``store.run_busy`` if the lease is lost."""
        found = self._leases.rows.find(self.lease.run)
        self.seen("" if found is None else found.holder, found is not None and found.is_cancelled)
        if self._parent is not None:
            self._parent.refresh()

    def seen(self, holder: str, is_cancelled: bool) -> None:
        """Take note of what the row says. Raises StoreError ``store.run_busy`` if it is another's."""
        if holder != self.lease.holder:
            raise self._leases.lost(self.lease)
        if is_cancelled and not self.lease.is_cancelled:
            self.lease = replace(self.lease, is_cancelled=True)


LeaseOf = Callable[[str], str]
"""Names the run whose lease an append to a run needs."""


def own_lease(run: str) -> str:
    """The run itself: it is driven by itself."""
    return run


NONE_HELD: Mapping[str, HeldLease] = MappingProxyType({})
"""The leases of one who drives without any."""


class Leases:
    """Takes, renews and gives back the leases of the runs of one kind in a store, for one driver.

    The first lease starts a thread that renews those that are held; ``close`` ends it.
    """

    def __init__(self, rows: LeaseRows, driver: Driver) -> None:
        self.rows = rows
        self.held: dict[str, HeldLease] = {}
        """The leases held now, by run."""
        self._driver = driver
        self._closing = Event()
        self._heart: Thread | None = None

    @contextmanager
    def driving(self, run: str, parent: str | None = None) -> Generator[HeldLease]:
        """Hold the lease of a run while the block drives it; a further block for the same run shares it.

        ``parent`` is the run that spawned it. Raises StoreError ``store.run_busy`` if another drives the run. What is
        left of the lease of a run that has not ended is its parent, and a request to cancel it.
        """
        held = self.held.get(run)
        if held is None:
            held = HeldLease(self, self._take(run, parent), None if parent is None else self.held.get(parent))
            self.held[run] = held
        held.blocks += 1
        try:
            yield held
        finally:
            held.blocks -= 1
            if not held.blocks:
                del self.held[run]
                with suppress(StoreError):  # the row is free all the same, soon or when this process is gone
                    self._give_back(held)

    def owner_of(self, run: str) -> Lease | None:
        """The lease of a run that is driven; None for one that is not."""
        found = self.rows.find(run)
        return None if found is None or self._driver.may_take(found) else found

    def owners(self) -> dict[str, Lease]:
        """The leases of all runs that are driven, by run."""
        return {lease.run: lease for lease in self.rows.every() if not self._driver.may_take(lease)}

    def children(self, run: str) -> list[str]:
        """The runs that a run has spawned and that have not ended, ascending."""
        return [lease.run for lease in self.rows.every() if lease.parent == run]

    def ages_ms(self, lease: Lease) -> tuple[int, int]:
        """How long ago a lease was taken, and renewed, in ms."""
        now = self._driver.wall_ms()
        return max(now - lease.taken_ms, 0), max(now - lease.beat_ms, 0)

    def beat(self) -> None:
        """Renew the leases that are held. Raises StoreError."""
        for held in list(self.held.values()):
            found = self.rows.find(held.lease.run)
            if found is not None and found.holder == held.lease.holder:
                self.rows.replace(found, replace(found, beat_ms=self._driver.wall_ms()))

    def request_cancel(self, run: str) -> None:
        """Ask the one who drives a run to end it; nothing happens if nobody does. Raises StoreError."""
        found = self.rows.find(run)
        while found is not None and not found.is_cancelled:
            if self.rows.replace(found, replace(found, is_cancelled=True)):
                return
            found = self.rows.find(run)

    def close(self) -> None:
        """End the heartbeat; leases that are still held become stale."""
        self._closing.set()
        if self._heart is not None:
            self._heart.join()
            self._heart = None

    def busy(self, lease: Lease) -> StoreError:
        """The error ``store.run_busy`` for a run that another drives."""
        taken, beaten = (f"{age // 1000} s" for age in self.ages_ms(lease))
        message = f"run '{lease.run}' is driven by {lease.owner} for {taken}, its last heartbeat was {beaten} ago"
        fix = (
            f"wait until that process is done, or end it; without a heartbeat for {STALE_MS // 1000} s it is taken over"
        )
        where = f"run '{lease.run}', driven by {lease.owner} for {taken}"
        return StoreError("store.run_busy", message, where=where, fix=fix)

    def lost(self, lease: Lease) -> StoreError:
        """The error ``store.run_busy`` of a driver whose lease another has taken over."""
        found = self.rows.find(lease.run)
        if found is not None and found.holder not in ("", lease.holder):
            return self.busy(found)
        message = f"run '{lease.run}' was taken over by another process, which has left it since"
        return StoreError(
            "store.run_busy", message, where=f"run '{lease.run}'", fix="look at where it stands, then resume it"
        )

    def _take(self, run: str, parent: str | None) -> Lease:
        self._start_heart()
        lease = self._driver.lease(run, parent)
        while not self.rows.insert(lease):
            found = self.rows.find(run)
            if found is None:
                continue
            if not self._driver.may_take(found):
                raise self.busy(found)
            taken = replace(lease, parent=parent or found.parent, is_cancelled=found.is_cancelled)
            if self.rows.replace(found, taken):
                return taken
        return lease

    def _give_back(self, held: HeldLease) -> None:
        lease = held.lease
        if (held.has_ended or lease.parent is None) and not lease.is_cancelled and self.rows.remove(lease):
            return
        found = self.rows.find(lease.run)
        if found is None or found.holder != lease.holder:
            return
        if held.has_ended:
            self.rows.remove(found)
        else:
            self.rows.replace(found, replace(found, holder=""))

    def _start_heart(self) -> None:
        if self._heart is None:
            self._closing.clear()
            self._heart = Thread(target=self._keep_beating, name="heartbeat of leases", daemon=True)
            self._heart.start()

    def _keep_beating(self) -> None:
        while not self._closing.wait(HEARTBEAT_SECONDS):
            with suppress(StoreError):  # a store that does not answer now is asked again
                self.beat()
