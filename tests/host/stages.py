"""A runner over a scripted program, with everything that it records at hand."""

from __future__ import annotations

from ergo_cli.bundle.memory import InMemoryBundle
from ergo_cli.bundle.schema import DecisionRecord, Header
from ergo_cli.core.digest_set import DigestSet
from ergo_cli.core.values import Effect, Intent, IntentField, NativeValue, Value, Write
from ergo_cli.events.adapter import Adapter, load_adapter
from ergo_cli.host.crash_journal import CrashJournal, JournaledSink
from ergo_cli.host.effects import ApplyEffects, IntentDispatcher, SentIntent
from ergo_cli.host.step import HostedRunner
from ergo_cli.supervisor.seam import Constraints
from ergo_cli.testing.scripted import ScriptedInvoker

ADAPTER = """
kind: adapter
id: desk
version: 1.0.0
runtime_compatibility: 0.1.0-alpha.1
context_keys:
  - {name: x, type: Number, required: false, writable: false}
  - {name: y, type: Number, required: false, writable: true}
  - {name: armed, type: Bool, required: false, writable: true}
event_kinds:
  - name: tick
    payload_schema:
      type: object
      properties: {x: {type: number}, y: {type: number}}
      required: [x]
      additionalProperties: false
  - name: blind
    payload_schema: {type: object, properties: {x: {type: number}}, additionalProperties: false}
accepts:
  effects:
    - {name: set_context, payload_schema: {type: object, additionalProperties: false}}
    - {name: publish, payload_schema: {type: object, additionalProperties: false}}
capture: {format_version: "1", fields: []}
"""


class Stage:
    """``limits`` are constraints; ids may repeat unless ``unique``."""

    def __init__(
        self,
        adapter: Adapter | None = None,
        dispatcher: IntentDispatcher | None = None,
        *,
        owned_elsewhere: frozenset[str] = frozenset(),
        unique: bool = True,
        journal: CrashJournal | None = None,
        **limits: int,
    ) -> None:
        self.invoker = ScriptedInvoker()
        self.effects = ApplyEffects(adapter, owned_elsewhere, dispatcher)
        self.intents: list[SentIntent] = []
        """What was about to be sent, where no journal notes it."""
        constraints = Constraints(**limits)
        self.bundle = InMemoryBundle(Header("g", constraints, "rpv1:sha256:test"))
        sink = self.bundle if journal is None else JournaledSink(self.bundle, journal)
        self.runner = HostedRunner(
            *("g", constraints, self.invoker, adapter, self.effects, sink),
            seen=DigestSet() if unique else None,
            on_intent=self.intents.append if journal is None else journal.intent,
        )

    @property
    def events(self) -> list[str]:
        """The ids of the events that are kept."""
        return [record.event_id for record in self.bundle.commit().events]

    @property
    def decisions(self) -> tuple[DecisionRecord, ...]:
        """The decisions that are kept."""
        return self.bundle.commit().decisions


def desk() -> Adapter:
    """An adapter: ``y``, ``armed`` writable, ``x`` readable; events ``tick``, ``blind``; the effect ``publish``."""
    return load_adapter(ADAPTER, "desk.yaml")


def writes(*pairs: tuple[str, NativeValue]) -> Effect:
    """A ``set_context`` effect."""
    return Effect("set_context", [Write(key, Value.of(value)) for key, value in pairs])


def publishes(*intent_ids: str, price: float = 1.0) -> Effect:
    """An effect of one intent for each id."""
    fields = [IntentField("price", Value.of(price))]
    return Effect("publish", [], [Intent("publish", intent_id, fields) for intent_id in intent_ids])
