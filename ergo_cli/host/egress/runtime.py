"""All channels of a run: started together, told intents one at a time, stopped together (spec 30 §18)."""

from __future__ import annotations

from pathlib import Path

from ergo_cli.bundle.schema import IntentAck
from ergo_cli.core.effects import Intent
from ergo_cli.errors import StepError, headline
from ergo_cli.host.channels.policy import ChannelPolicy
from ergo_cli.host.egress.channel import EgressChannel
from ergo_cli.host.egress.config import EgressConfig
from ergo_cli.host.egress.failures import ChannelFault, dispatch_failure, process_failure, start_failed, unrouted


class EgressRuntime:
    """Owns the channel processes of one run; ``folder`` is where they work, None for the current one.

    Whoever starts it must end it, by ``shutdown`` or by ``kill``. Once a dispatch has failed no channel is left, and
    finalizing finds nothing to do.
    """

    def __init__(self, config: EgressConfig, folder: Path | None, policy: ChannelPolicy) -> None:
        self.config = config
        self.provenance = config.provenance
        self._folder = folder
        self._policy = policy
        self._channels: dict[str, EgressChannel] = {}

    def start(self) -> None:
        """Start every channel, ascending by id, each after the one before is ready.

        Raises EgressError ``egress.start_failed`` naming the channel; then none is left.
        """
        for name, command in sorted(self.config.channels.items()):
            try:
                self._channels[name] = EgressChannel.spawn(command, self._folder, self._policy)
                self._channels[name].await_ready(self.config.kinds_of(name))
            except ChannelFault as fault:
                raise start_failed(name, fault, self._kill_hearing(name)) from fault

    def dispatch(self, kind: str, intent: Intent) -> IntentAck:
        """Send an intent to the channel of its kind and wait for its durable word: at most once, never again.

        Raises DispatchFailure for a channel that fails, after which all are gone; StepError ``EgressProcess`` where
        ``kind`` has no route or its channel does not run.
        """
        route = self.config.routes.get(kind)
        if route is None:
            raise unrouted(kind)
        channel = self._channels.get(route.channel)
        if channel is None:
            raise process_failure(route.channel, "it is not running")
        try:
            ack = channel.dispatch(intent, self.config.ack_timeout(kind))
        except ChannelFault as fault:
            stderr = self._kill_hearing(route.channel)
            raise dispatch_failure(route.channel, intent.intent_id, fault, stderr) from fault
        return IntentAck(ack.intent_id, route.channel, ack.status, ack.acceptance, ack.egress_ref)

    def assert_settled(self, *, host_stop: bool) -> None:
        """Make sure that no channel has anything left to say (spec 30 §18.5).

        ``host_stop``: the run ended because it was asked to, so a channel may have been ended by the same signal.
        Raises StepError ``EgressProcess`` for the first that fails.
        """
        for name, channel in self._channels.items():
            try:
                channel.assert_settled(host_stop=host_stop)
            except ChannelFault as fault:
                raise process_failure(name, fault.detail, channel.stderr_tail) from fault

    def shutdown(self) -> None:
        """Tell every channel to end and wait for each (spec 30 §18.6); the first failure is raised after all.

        Raises StepError ``EgressProcess``; whatever happens, no process is left.
        """
        failures: list[StepError] = []
        for name, channel in self._channels.items():
            try:
                channel.stop()
            except ChannelFault as fault:
                failures.append(process_failure(name, fault.detail, channel.stderr_tail))
        self._channels.clear()
        if failures:
            raise headline(failures)

    def kill(self) -> None:
        """End every channel at once, without a word."""
        while self._channels:
            self._channels.popitem()[1].kill()

    def _kill_hearing(self, name: str) -> str:
        """End every channel; what the one called ``name`` told people, all of it now that it is gone."""
        channel = self._channels.get(name)
        self.kill()
        return "" if channel is None else channel.stderr_tail
