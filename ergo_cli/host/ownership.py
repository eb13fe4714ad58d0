"""Who answers for an effect kind: a handler of the host, egress, or in replay the recording (spec 30 §9, 11 §11.4)."""

from __future__ import annotations

from collections.abc import Set

from ergo_cli.core.effects import SET_CONTEXT
from ergo_cli.core.notices import Notice
from ergo_cli.errors import ErgoError, headline
from ergo_cli.events.adapter import Adapter
from ergo_cli.events.composition import coverage
from ergo_cli.programs.graph.program import GraphProgram

HANDLER_KINDS = frozenset({SET_CONTEXT})
"""The effect kinds that the host realises itself."""


def replay_owned_kinds(program: GraphProgram, adapter: Adapter | None) -> frozenset[str]:
    """The external kinds that a replay takes as done: emittable, accepted by the adapter, not the host's own."""
    if adapter is None:
        return frozenset()
    return (program.emittable_kinds & adapter.provides.effects) - HANDLER_KINDS


def check_ownership(
    program: GraphProgram,
    adapter: Adapter | None,
    routed: Set[str] | None = None,
    replay_owned: Set[str] = frozenset(),
) -> tuple[Notice, ...]:
    """Raise ``host.configuration_invalid`` unless every kind has exactly one owner (HST-5), in the order of §9.

    ``routed``: the kinds that a live egress configuration routes, None where there is none; ``replay_owned``: those
    that a recording answers for. Returns a notice for every route that the program cannot use, ascending.
    """
    _check_replay_owned(routed, replay_owned)
    if adapter is None:
        _refuse_owners_without_adapter(routed, replay_owned)
        return ()
    faults = [] if routed is None else [_not_accepted(kind) for kind in sorted(routed - adapter.provides.effects)]
    claimed = replay_owned if routed is None else routed
    faults += coverage(program.emittable_kinds, adapter.provides.effects, HANDLER_KINDS, claimed)
    if faults:
        raise headline(faults)
    unused = sorted((routed or frozenset()) - program.emittable_kinds)
    return tuple(Notice(f"egress route declared for non-emittable kind '{kind}'") for kind in unused)


def _check_replay_owned(routed: Set[str] | None, replay_owned: Set[str]) -> None:
    if replay_owned and routed is not None:
        message = "effect kinds cannot be owned by a replay while egress is live"
        raise _invalid(message, "leave the egress configuration out of a replay")
    for kind in sorted(replay_owned & HANDLER_KINDS):
        message = f"effect kind '{kind}' is realised by the host and cannot be owned by a replay"
        raise _invalid(message, f"leave '{kind}' to the host", f"effect kind '{kind}'")


def _refuse_owners_without_adapter(routed: Set[str] | None, replay_owned: Set[str]) -> None:
    if routed is not None:
        message = "an egress configuration needs an adapter, which says what effects are accepted"
        raise _invalid(message, "give an adapter with --adapter, or leave --egress-config out")
    if replay_owned:
        message = "effect kinds can be owned by a replay only where an adapter says which are accepted"
        raise _invalid(message, "give the adapter that the capture had")


def _not_accepted(kind: str) -> ErgoError:
    message = f"effect kind '{kind}' is routed, but the adapter does not accept it"
    return _invalid(message, f"add '{kind}' to accepts.effects of the adapter, or remove its route", f"routes.{kind}")


def _invalid(message: str, fix: str, where: str = "egress configuration") -> ErgoError:
    return ErgoError("host.configuration_invalid", message, where=where, fix=fix)
