"""Send the intents of programs that act, each at most once for all runs of a store (spec 00 §13.1, 50 §21)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import msgspec

from ergo_cli.bundle.schema import IntentAck
from ergo_cli.core.diagnostics import Notice
from ergo_cli.core.values import Intent, ProducedEffect
from ergo_cli.errors import StoreError
from ergo_cli.host.effects import ContextStore, Evidence, IntentDispatcher
from ergo_cli.host.outputs import StoreFailure
from ergo_cli.stores.journals import EventJournal

_CLAIM = '{"sending":true}'
_encode = msgspec.json.Encoder().encode
_decode_ack = msgspec.json.Decoder(IntentAck).decode


class SendIntents:
    """Gives routed intents to ``dispatcher`` and applies nothing.

    In ``journal``, that of the store, an intent is noted before it is sent, and its acknowledgement after that. One
    that was noted before is not sent again: the kept acknowledgement counts, and without one a warning says so.
    """

    def __init__(self, dispatcher: IntentDispatcher, journal: EventJournal | None) -> None:
        self.store = ContextStore()
        self._dispatcher = dispatcher
        self._journal = journal
        self._notices: list[Notice] = []

    def notices(self) -> Sequence[Notice]:
        """Warnings of intents that may or may not have been delivered by an earlier run."""
        return self._notices

    def realise(self, effects: list[ProducedEffect], evidence: Evidence) -> list[ProducedEffect]:
        """Send the intents in order. Raises as ``dispatch``, and StoreFailure."""
        for effect in effects:
            route = self._dispatcher.config.routes.get(effect.kind)
            if route is not None:
                for intent in effect.effect.intents:
                    self._send(effect.kind, intent, route.channel, evidence)
        return []

    def _send(self, kind: str, intent: Intent, channel: str, evidence: Evidence) -> None:
        if self._journal is None:
            evidence.sending(intent, channel)
            evidence.acknowledged(self._dispatcher.dispatch(kind, intent))
        elif self._is_claimed(self._journal, intent):
            evidence.sending(intent, channel)
            ack = self._dispatcher.dispatch(kind, intent)
            evidence.acknowledged(ack)
            self._keep(self._journal, ack)
        else:
            self._recall(self._journal, intent, evidence)

    def _is_claimed(self, journal: EventJournal, intent: Intent) -> bool:
        """Note that an intent is about to be sent; False if that was noted before, by whatever process."""
        try:
            journal.append(_place(intent.intent_id), [_CLAIM], 0)
        except StoreError as error:
            if error.code == "store.conflict":
                return False
            _fail(error)
        return True

    def _keep(self, journal: EventJournal, ack: IntentAck) -> None:
        try:
            journal.append(_place(ack.intent_id), [_encode(ack).decode()], 1)
        except StoreError as error:
            _fail(error)

    def _recall(self, journal: EventJournal, intent: Intent, evidence: Evidence) -> None:
        """Take the acknowledgement that an intent got when it was sent, or warn that none is known."""
        try:
            texts = [text for _, text in journal.scan(_place(intent.intent_id), 2)]
        except StoreError as error:
            _fail(error)
        if texts:
            evidence.acknowledged(_decoded(intent, texts[0]))
            return
        message = (
            f"the intent {intent.intent_id} is not sent: an earlier run was about to send it, and whether it was"
            " delivered is unknown"
        )
        self._notices.append(Notice(message))


def _decoded(intent: Intent, text: str) -> IntentAck:
    try:
        return _decode_ack(text)
    except msgspec.DecodeError as error:
        message = f"the kept acknowledgement of the intent {intent.intent_id} cannot be read: {error}"
        fix = "restore the store from a copy"
        raise StoreFailure(StoreError("store.corrupt", message, where=_place(intent.intent_id), fix=fix)) from error


def _place(intent_id: str) -> str:
    """The run in a store's journal under which an intent is noted; it is not the id of a run."""
    return f"intent {intent_id}"


def _fail(error: StoreError) -> NoReturn:
    raise StoreFailure(error) from error
