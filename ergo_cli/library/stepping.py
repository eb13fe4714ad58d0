"""A profile stepped by hand: the caller decides when the next event comes (spec 30 §22, §27)."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Self

from ergo_cli import errors
from ergo_cli.bundle.memory import CaptureBundle, InMemoryBundle
from ergo_cli.core.values import NativeValue
from ergo_cli.errors import CaptureWriteError, ErgoError
from ergo_cli.events.hosted import HostedEvent
from ergo_cli.host.capturing import open_channels
from ergo_cli.host.channels.policy import ChannelPolicy
from ergo_cli.host.gate import lifecycle_violation
from ergo_cli.host.runner import StepOutcome
from ergo_cli.host.running import World, hosted_runner
from ergo_cli.library.bundles import write_capture_bundle
from ergo_cli.library.errors import CaptureError, StepError
from ergo_cli.library.items import plain_event
from ergo_cli.library.planning import Planned
from ergo_cli.library.running import egress_provenance


class ProfileRunner:
    """Steps the events that it is given; leaving its ``with`` block ends whatever runs of its channels.

    Bounds and ingress of the profile play no part, and nothing is written but by ``finish_and_write_capture``. Its
    channels are running when it has been made; EgressError ``egress.start_failed`` where they cannot.
    """

    def __init__(self, planned: Planned, policy: ChannelPolicy) -> None:
        self.capture_output_path: Path | None = planned.output
        """Where the bundle is to go, None where the profile does not say."""
        self.pretty_capture = planned.pretty
        """Whether the bundle is to be written indented."""
        self._planned = planned
        self._bundle = InMemoryBundle(planned.run.header)
        self._resources = ExitStack()
        self._egress = self._resources.enter_context(open_channels(planned.run, policy))
        self._runner = hosted_runner(
            planned.run.prepared, self._bundle, World(self._egress, vouched=False, episodes=self._bundle)
        )
        self._finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._finished = True
        self._resources.close()

    def step(self, event: HostedEvent) -> StepOutcome:
        """Take one event through the program, with everything that follows from it.

        The event is copied first. Raises StepError.
        """
        try:
            self._check_open()
            self._runner.gate.check_step()
            return self._runner.step(plain_event(event, self._planned.run.prepared.numbers))
        except (errors.StepError, CaptureWriteError) as error:
            raise StepError(error) from error

    def context_snapshot(self) -> dict[str, NativeValue]:
        """A copy of what the program remembers now. Raises StepError ``lifecycle`` once the runner is finished."""
        try:
            self._check_open()
        except errors.StepError as error:
            raise StepError(error) from error
        return {key: list(value) if isinstance(value, list) else value for key, value in self._runner.context.items()}

    def finish(self) -> CaptureBundle:
        """End the channels in order; the bundle of everything committed.

        Raises CaptureError ``finalize``: without bundle where nothing may be finished, and the runner is as it was;
        with the bundle where a channel did not come to rest.
        """
        try:
            self._check_open()
            self._runner.gate.check_finalize()
        except errors.StepError as error:
            raise CaptureError(error, "finalize") from error
        self._finished = True
        bundle = self._committed()
        try:
            self._settle()
        except errors.StepError as error:
            raise CaptureError(error, "finalize", bundle) from error
        return bundle

    def finish_and_write_capture(self) -> CaptureBundle:
        """Finish, and write the bundle to ``capture_output_path``; it is written too where a channel does not end well.

        Raises CaptureError: ``output_not_configured`` before anything else, ``write``, and as ``finish``.
        """
        if self.capture_output_path is None:
            raise CaptureError(_no_output(), "output_not_configured")
        try:
            bundle = self.finish()
        except CaptureError as error:
            if error.bundle is not None:
                write_capture_bundle(self.capture_output_path, error.bundle, pretty=self.pretty_capture)
            raise
        write_capture_bundle(self.capture_output_path, bundle, pretty=self.pretty_capture)
        return bundle

    def _check_open(self) -> None:
        if self._finished:
            raise lifecycle_violation("the runner is finished")

    def _committed(self) -> CaptureBundle:
        plan = self._planned.run
        return self._bundle.commit(egress_provenance(plan), plan.record(embed=self._planned.embed))

    def _settle(self) -> None:
        with self._resources:
            if self._egress is not None:
                self._egress.assert_settled(host_stop=False)
                self._egress.shutdown()


def _no_output() -> ErgoError:
    message = "the runner does not know where its bundle is to go"
    fix = "name a file with capture_output, or finish() and write_capture_bundle()"
    return ErgoError("output_not_configured", message, where="capture_output", fix=fix)
