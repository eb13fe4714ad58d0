"""Manifests: what a run was asked to do, by whom it was built, and how it is to be run (spec 50 §5)."""

from __future__ import annotations

from collections.abc import Set
from enum import Enum
from typing import Annotated, Self, cast

from msgspec import Meta, Struct

from ergo_cli.core import wire
from ergo_cli.core.json import decode
from ergo_cli.core.time import MAX_NS, MAX_SECS, NANOS, backoff
from ergo_cli.core.wire import FreeValue, Variant, WireForm, Wrapper
from ergo_cli.programs.plan.canonical import canonical_json
from ergo_cli.programs.plan.ids import OpId

_HIGHEST_EXPONENT = 31
_U32 = Annotated[int, Meta(ge=0, le=2**32 - 1)]
_NANOS_LIMIT = 2**32


class Delay(WireForm, Struct, frozen=True, order=True):
    """A length of time in nanoseconds; ``{"secs":…,"nanos":…}`` in JSON."""

    ns: int

    def to_wire(self) -> FreeValue:
        """Whole seconds, and nanoseconds below 10**9."""
        secs, nanos = divmod(self.ns, NANOS)
        return {"nanos": nanos, "secs": secs}

    @classmethod
    def from_wire(cls, value: FreeValue) -> Self:
        """The delay of the JSON form; nanoseconds carry into seconds. Raises ValueError."""
        members = cast("dict[str, object]", value) if isinstance(value, dict) else {}
        secs, nanos = members.get("secs"), members.get("nanos")
        if len(members) != 2 or type(secs) is not int or type(nanos) is not int:
            raise ValueError('expected {"secs":…,"nanos":…}')
        if not (0 <= secs <= MAX_SECS and 0 <= nanos < _NANOS_LIMIT and secs * NANOS + nanos <= MAX_NS):
            raise ValueError("a duration out of range")
        return cls(secs * NANOS + nanos)


class IoMode(Enum):
    """Whether calls reach the world or are answered from recorded facts alone."""

    LIVE = "Live"
    REPLAY = "Replay"


class Fixed(Variant, frozen=True):
    """Wait equally long before every attempt."""

    delay: Delay

    def after(self, attempt: int) -> int:
        """The wait in ns after the attempt of this number failed."""
        return self.delay.ns


class Exponential(Variant, frozen=True):
    """Wait twice as long after every failed attempt, at most ``max_delay``."""

    base_delay: Delay
    max_delay: Delay

    def after(self, attempt: int) -> int:
        """The wait in ns after the attempt of this number failed."""
        return backoff(self.base_delay.ns, min(attempt, _HIGHEST_EXPONENT), self.max_delay.ns)


BackoffPolicy = Fixed | Exponential


class RetryPolicy(Struct, frozen=True):
    """``max_attempts`` counts the first; 0 is 1."""

    max_attempts: _U32
    backoff: BackoffPolicy


class Custom(Wrapper, frozen=True):
    """A setting of a name that the engine carries but does not interpret."""

    name: str


class Minimal(Variant, frozen=True):
    """Keep facts, drop all other domain events."""


class Normal(Variant, frozen=True):
    """Keep all domain events."""


class Verbose(Variant, frozen=True):
    """Keep all domain events."""


EventProfile = Minimal | Normal | Verbose | Custom


class Sequential(Variant, frozen=True):
    """Run one state at a time."""


class FanOutJoin(Variant, frozen=True):
    """Run ready states concurrently."""

    max_concurrency: _U32


ExecutionMode = Sequential | FanOutJoin


class AfterEveryState(Variant, frozen=True):
    """Keep a snapshot after every state that succeeds; ``Custom`` does the same."""


ContextCheckpointing = AfterEveryState | Custom


class RunConfig(Struct, frozen=True, kw_only=True):
    """How a run is driven. Every field is part of the manifest's id.

    States with one of ``skip_tags`` complete without running. ``replay_missing_fact_retryable`` lets the retry policy
    try again where a replay misses a fact. ``nix_flake_allowlist`` is carried for other readers of the manifest.
    """

    io_mode: IoMode
    retry_policy: RetryPolicy
    event_profile: EventProfile
    execution_mode: ExecutionMode
    context_checkpointing: ContextCheckpointing
    replay_missing_fact_retryable: bool
    skip_tags: tuple[str, ...]
    nix_flake_allowlist: tuple[str, ...] = ("github:willyrgf/mfm",)


def run_config(
    *,
    max_attempts: int = 1,
    backoff: BackoffPolicy = Fixed(Delay(0)),
    event_profile: EventProfile = Normal(),
    execution_mode: ExecutionMode = Sequential(),
    skip_tags: tuple[str, ...] = (),
    io_mode: IoMode = IoMode.LIVE,
) -> RunConfig:
    """The configuration that runs have unless they say otherwise: live, one attempt, no wait, no skipped states."""
    return RunConfig(
        io_mode=io_mode,
        retry_policy=RetryPolicy(max_attempts, backoff),
        event_profile=event_profile,
        execution_mode=execution_mode,
        context_checkpointing=AfterEveryState(),
        replay_missing_fact_retryable=False,
        skip_tags=skip_tags,
    )


class Build(Struct, frozen=True, kw_only=True):
    """What the program was built from; null where it is not known."""

    git_commit: str | None = None
    cargo_lock_hash: str | None = None
    flake_lock_hash: str | None = None
    rustc_version: str | None = None
    target_triple: str | None = None
    env_allowlist: tuple[str, ...]


NO_BUILD = Build(env_allowlist=())
"""A build of which nothing is known."""


class RunManifest(Struct, frozen=True):
    """The operation of a run, its parameters and configuration; its id is the digest of its canonical text."""

    op_id: OpId
    op_version: str
    input_params: FreeValue
    run_config: RunConfig
    build: Build

    def canonical(self, allowed: Set[str] = frozenset()) -> bytes:
        """The text that is stored; ``allowed`` are texts that look like secrets and are none.

        Raises SecretsNotAllowed, FloatNotAllowed and NotCanonicalError.
        """
        return canonical_json(decode(wire.encode(self)), allowed)
