"""Scripted ingress and egress: events that arrive as listed, channels that acknowledge or fail without a process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ergo_cli.bundle.schema import IntentAck
from ergo_cli.channels.egress_config import EgressConfig, Route
from ergo_cli.channels.interruption import EGRESS_IO, DispatchFailure, End, IngressFailure, Interruption
from ergo_cli.core.values import Intent
from ergo_cli.events.external import HostedEvent


class ScriptedArrivals:
    """Gives its cues in order: an event, an end, or a failure to raise; finished when none is left."""

    def __init__(self, cues: Iterable[HostedEvent | End | IngressFailure]) -> None:
        self._cues = iter(cues)
        self._given = 0

    @property
    def opened(self) -> list[tuple[str, int]]:
        """``E1`` once an event was given."""
        return [("E1", 0)] if self._given else []

    @property
    def place(self) -> str:
        """``script:<number of the event>``."""
        return f"script:{self._given}"

    def next(self, should_stop: Callable[[], bool]) -> HostedEvent | End:
        """The next cue. Raises it if it is an IngressFailure."""
        cue = next(self._cues, End.FINISHED)
        if isinstance(cue, IngressFailure):
            raise cue
        self._given += isinstance(cue, HostedEvent)
        return cue


class ScriptedDispatcher:
    """Acknowledges every intent, or raises the error that ``failures`` has for its number, counted from 0."""

    def __init__(self, routes: Mapping[str, str], failures: Mapping[int, Exception] | None = None) -> None:
        channels = dict.fromkeys(routes.values(), ("true",))
        self.config = EgressConfig(0, channels, {kind: Route(channel) for kind, channel in routes.items()})
        self.sent: list[str] = []
        """The id of every intent that was dispatched, in order."""
        self._failures = failures or {}

    def dispatch(self, kind: str, intent: Intent) -> IntentAck:
        """Acknowledge the intent, or raise its scripted failure."""
        number = len(self.sent)
        self.sent.append(intent.intent_id)
        if number in self._failures:
            raise self._failures[number]
        return IntentAck(intent.intent_id, self.config.routes[kind].channel, "accepted", "durable")


class RecordingEvidence:
    """Records the intents sent and acknowledged in steps."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        """Intent and channel."""
        self.acks: list[IntentAck] = []

    def sending(self, intent: Intent, channel: str) -> None:
        """Keep an intent."""
        self.sent.append((intent.intent_id, channel))

    def acknowledged(self, ack: IntentAck) -> None:
        """Keep an acknowledgement."""
        self.acks.append(ack)


def broken_channel(
    channel: str = "broker", detail: str = "channel closed stdout while waiting for ack"
) -> DispatchFailure:
    """The failure of a channel that closed its stdout."""
    text = f"egress dispatch failed: I/O failure on channel '{channel}': {detail}"
    return DispatchFailure(Interruption(EGRESS_IO, channel), text, ())
