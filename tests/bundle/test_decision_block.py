"""The bytes of the decisions of a batch, which are joined from templates."""

from __future__ import annotations

import pytest

from ergo_cli.bundle.encoding import decision_block
from ergo_cli.core.values import ProducedEffect
from ergo_cli.events.external import EventKind, ExternalEvent
from ergo_cli.supervisor.seam import Decision, LogEntry, Outcome
from ergo_cli.testing.bundles import set_context

NO_EFFECTS = (
    b'{"event_id":"<event id>","decision":"Invoke","schedule_at":null,"episode_id":987654321,"deadline":null,'
    b'"termination":"Completed","retry_count":0,"effects":[]}'
)
ONE_EFFECT = (
    b'{"event_id":"e\\"1","decision":"Invoke","schedule_at":null,"episode_id":0,"deadline":null,'
    b'"termination":"Completed","retry_count":0,"effects":['
    b'{"effect":{"kind":"set_context","writes":[{"key":"x","value":{"Number":1.0}}]},'
    b'"effect_hash":"55d64445c2438c7e5e64bd81f1a8e0d4ab3922df4a9f20f3344590178095fdb9"}]}'
)
TWO_EFFECTS = (
    b'{"event_id":"e2","decision":"Invoke","schedule_at":null,"episode_id":18446744073709551615,"deadline":null,'
    b'"termination":"Completed","retry_count":0,"effects":['
    b'{"effect":{"kind":"set_context","writes":[{"key":"x","value":{"Number":1.0}}]},'
    b'"effect_hash":"55d64445c2438c7e5e64bd81f1a8e0d4ab3922df4a9f20f3344590178095fdb9"},'
    b'{"effect":{"kind":"set_context","writes":[{"key":"<effect>","value":{"String":"<effect hash>"}}]},'
    b'"effect_hash":"ee3f2a252c32d17ec4a8a2cb2739a898634e3b8922244bd4d1ffe2406082f425"}]}'
)


@pytest.mark.parametrize("separator", [b",", b"\n"])
def test_completed_decisions_as_a_bundle_stores_them(separator: bytes) -> None:
    x = ProducedEffect.of(set_context("x", 1.0))
    y = ProducedEffect.of(set_context("<effect>", "<effect hash>"))
    decided = [
        (completed("<event id>", 987654321), []),
        (completed('e"1', 0), [x]),
        (completed("e2", 2**64 - 1), [x, y]),
    ]
    assert decision_block(decided, separator) == NO_EFFECTS + separator + ONE_EFFECT + separator + TWO_EFFECTS


def completed(event_id: str, episode_id: int) -> LogEntry:
    event = ExternalEvent.with_payload(event_id, EventKind.COMMAND, 0, b"{}")
    return LogEntry("g", event, Decision.INVOKE, None, episode_id, None, Outcome.COMPLETED, 0)
