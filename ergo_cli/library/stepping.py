"""Step a profile event by event: the caller decides when the next event comes (spec 30 §22, §27)."""

from __future__ import annotations

from contextlib import ExitStack
from os import PathLike, fspath
from pathlib import Path
from typing import Self

from ergo_cli import errors
from ergo_cli.bundle.memory import CaptureBundle, InMemoryBundle
from ergo_cli.bundle.writer import BundleWriter
from ergo_cli.channels.timeouts import ChannelPolicy
from ergo_cli.core.values import NativeValue
from ergo_cli.errors import CaptureWriteError, ErgoError
from ergo_cli.events.external import HostedEvent
from ergo_cli.host.effects import lifecycle_violation
from ergo_cli.host.files_read import check_outputs
from ergo_cli.host.loop import RunResources, start_run
from ergo_cli.host.perform import open_channels, open_run_store
from ergo_cli.host.step import HostedRunner, StepOutcome
from ergo_cli.library.errors import CaptureError, StepError
from ergo_cli.library.items import plain_event
from ergo_cli.library.operations import Planned, egress_provenance
from ergo_cli.stores.standard_output import open_output


def write_capture_bundle(path: str | PathLike[str], bundle: CaptureBundle, *, pretty: bool = False) -> None:
    """Write a bundle atomically, as a run does; a name in ``.gz`` or ``.zst`` compresses.

    Raises CaptureError ``write`` with the bundle attached.
    """
    _write(fspath(path), bundle, pretty=pretty, is_partial=False)


def _write(path: str, bundle: CaptureBundle, *, pretty: bool, is_partial: bool) -> None:
    try:
        with BundleWriter(path, bundle.header, pretty=pretty, program=bundle.program) as writer:
            for event in bundle.events:
                writer.event(event)
            for decision in bundle.decisions:
                writer.decision(decision)
            for journal in bundle.journals:
                writer.journal(journal)
            writer.commit(bundle.egress_provenance, bundle.artifacts, is_partial=is_partial)
    except CaptureWriteError as error:
        raise CaptureError(error, "write", bundle) from error


class ProfileRunner:
    """Steps events one by one; leaving its ``with`` block closes it.

    Bounds and ingress of the profile are ignored. Only ``finish_and_write_capture`` writes a bundle; runs of a stateful
    program are kept in the profile's ``store``. Making a runner starts its channels. Raises EgressError
    ``egress.start_failed``.
    """

    def __init__(self, planned: Planned, policy: ChannelPolicy) -> None:
        self.capture_output_path: Path | None = planned.output
        """The path of the bundle, None if the profile names none."""
        self.pretty_capture = planned.pretty
        """Whether the bundle is written indented."""
        self._planned = planned
        self._check_output()
        self._bundle = InMemoryBundle(planned.run.header)
        self._resources = ExitStack()
        self._egress = self._resources.enter_context(open_channels(planned.run, policy))
        with ExitStack() as opening:
            opening.callback(self._resources.close)
            store = self._resources.enter_context(open_run_store(planned.run, is_captured=True))
            resources = RunResources(self._egress, vouched=False, store=store, episodes=self._bundle)
            self._started = start_run(planned.run.prepared, self._bundle, resources)
            opening.pop_all()
        runner = self._started.runner
        assert isinstance(runner, HostedRunner), "a bundle in memory takes steps one by one"
        self._runner = runner
        self._finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Kill running channels and close the store; a closed runner takes no further step.

        Does nothing if the runner is finished or closed.
        """
        with self._resources:
            if not self._finished:
                self._finished = True
                self._started.close(True)

    def step(self, event: HostedEvent) -> StepOutcome:
        """Process one event and everything that results from it.

        The event is copied first, and redacted as the profile says. Raises StepError if it cannot be processed.
        """
        try:
            self._check_open()
            self._runner.gate.check_step()
            prepared = self._planned.run.prepared
            plain = plain_event(event, prepared.numbers)
            return self._runner.step(plain if prepared.redaction is None else prepared.redaction.event(plain))
        except (errors.StepError, CaptureWriteError) as error:
            raise StepError(error) from error

    def context_snapshot(self) -> dict[str, NativeValue]:
        """A copy of the program's current context. Raises StepError ``lifecycle`` once the runner is finished."""
        try:
            self._check_open()
        except errors.StepError as error:
            raise StepError(error) from error
        return {key: list(value) if isinstance(value, list) else value for key, value in self._runner.context.items()}

    def finish(self) -> CaptureBundle:
        """End the channels in order and return the bundle of everything committed.

        Raises CaptureError ``finalize``: without bundle if the runner cannot finish, which leaves it unchanged; with
        the bundle if a channel did not end properly.
        """
        try:
            self._check_open()
            self._runner.gate.check_finalize()
        except errors.StepError as error:
            raise CaptureError(error, "finalize") from error
        self._finished = True
        try:
            self._settle()
        except errors.StepError as error:
            raise CaptureError(error, "finalize", self._committed()) from error
        return self._committed()

    def finish_and_write_capture(self) -> CaptureBundle:
        """Finish and write the bundle to ``capture_output_path``, also if a channel does not end properly.

        The bundle then goes beside one that is there already, as ``NAME.partial.json``.

        Raises CaptureError: ``output_not_configured`` before anything else, ``write``, and as ``finish``.
        """
        if self.capture_output_path is None:
            raise CaptureError(_no_output(), "output_not_configured")
        try:
            bundle = self.finish()
        except CaptureError as error:
            if error.bundle is not None:
                place = fspath(self.capture_output_path)
                _write(place, error.bundle, pretty=self.pretty_capture, is_partial=True)
            raise
        write_capture_bundle(self.capture_output_path, bundle, pretty=self.pretty_capture)
        return bundle

    def _check_output(self) -> None:
        """Find what stands in the way of the bundle before anything is started."""
        if self.capture_output_path is not None:
            check_outputs(self._planned.run, fspath(self.capture_output_path))
            with open_output(fspath(self.capture_output_path)):
                pass

    def _check_open(self) -> None:
        if self._finished:
            raise lifecycle_violation("the runner is finished")

    def _committed(self) -> CaptureBundle:
        plan = self._planned.run
        return self._bundle.commit(egress_provenance(plan), plan.record(embed=self._planned.embed))

    def _settle(self) -> None:
        """Close the program, then check and end the channels."""
        with self._resources:
            self._started.close(False)
            if self._egress is not None:
                self._egress.assert_settled(host_stop=False)
                self._egress.shutdown()


def _no_output() -> ErgoError:
    message = "the runner does not know where its bundle is to go"
    fix = "name a file with capture_output, or finish() and write_capture_bundle()"
    return ErgoError("output_not_configured", message, where="capture_output", fix=fix)
