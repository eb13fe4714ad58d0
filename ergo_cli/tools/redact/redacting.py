"""Record a bundle anew with redacted events, prove the new recording, and say what it decides otherwise."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from msgspec import Struct

from ergo_cli.bundle.reader import open_bundle
from ergo_cli.core.diagnostics import Notice
from ergo_cli.errors import ReplayError, UsageError
from ergo_cli.host.files_read import Read, refuse_bundle_over
from ergo_cli.project.finding import FoundProgram, ProgramFlags
from ergo_cli.project.redaction import FoundRedaction, RedactFlags, find_redaction
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.diffing import diff_bundles
from ergo_cli.replay.paths import parse_patterns
from ergo_cli.replay.results import BundleResult
from ergo_cli.replay.session import ReplayRequest, ReplaySession, find_for_bundle
from ergo_cli.stores.files import STANDARD_INPUT, compressor_for
from ergo_cli.stores.standard_output import open_output
from ergo_cli.tools.accept.proposals import is_of, prove
from ergo_cli.tools.accept.rerecording import rerecord
from ergo_cli.tools.accept.writing import keep_program
from ergo_cli.tools.redact.values import RedactedEvents

_BLOCK = 1 << 16
_LISTED = 10
_SETTLED = ("event", "header")  # what differs by intent: the payloads, and today's program in the place of then's


class Redacted(Struct, frozen=True):
    """A bundle that was recorded anew: ``values`` replaced in ``changed`` of its ``events``, ``present`` before.

    ``matches`` has the number of values found for each path, ``difference`` what is decided otherwise. Its values
    may be secrets: they are not for reports. ``same_program``: the recording was made by today's program.
    """

    path: str
    output: str
    events: int
    changed: int
    values: int
    present: int
    matches: tuple[tuple[str, int], ...]
    difference: BundleResult
    same_program: bool
    notices: tuple[Notice, ...] = ()


def redact_bundle(
    path: str,
    output: str,
    flags: RedactFlags,
    request: ReplayRequest,
    store: ProgramStore,
    folder: Path,
    on_event: Callable[[], None] | None = None,
) -> Redacted:
    """Write the redacted bundle to ``output``, in the form of the old one; ``folder`` holds it until it is proven.

    Raises UsageError without paths or for standard input, EventError ``redact.path_unmatched``, ReplayError
    ``redact.value_remains``, what refuses a replay or a capture of the bundle, ReplayError as ``rerecord`` and
    ``prove``, CaptureWriteError.
    """
    if path == STANDARD_INPUT:
        message = "a bundle on standard input cannot be recorded anew"
        raise UsageError("cli.invalid_option_value", message, where="argument BUNDLE", fix="name the file of a bundle")
    recording = folder / "redacted.json"
    with open_bundle(path) as reader:
        found = find_for_bundle(reader, request.flags, store)
        redaction = _redaction(flags, found)
        _check_output(path, output, found, redaction.key_file)
        assigned = ReplaySession(request, store).assign(request.flags, reader)
        events = RedactedEvents(redaction.redaction)
        with _redacting_again(flags, request.flags, found, output):
            made = rerecord(reader, found, assigned.options.numbers, str(recording), on_event, events.payload)
        redaction.redaction.check_matched(path)
        prove(path, recording, assigned)
        _check_gone(path, recording, events)
        difference = diff_bundles(path, recording, parse_patterns(_SETTLED))
        same, count = is_of(reader, found), reader.event_count
    _write(recording, output)
    notices = keep_program(found, made.fingerprint, store)
    matches = tuple((path.text, path.matches) for path in redaction.redaction.paths)
    return Redacted(
        path, output, count, events.changed, events.values, events.present, matches, difference, same, notices
    )


@contextmanager
def _redacting_again(flags: RedactFlags, program: ProgramFlags, found: FoundProgram, output: str) -> Generator[None]:
    """Let the remedy of what cannot be recorded anew be a capture that redacts, and not over the old bundle."""
    try:
        yield
    except ReplayError as error:
        if error.code in ("accept.answer_missing", "accept.context_unclear"):
            profile = () if found.profile is None else ("-p", found.profile.name)
            paths = (word for path in flags.paths for word in ("--redact", path))
            key = () if flags.key_file is None else ("--redact-key-file", str(flags.key_file))
            command = shlex.join(("ergo", "capture", *(program.words or profile), "-o", output, *paths, *key))
            error.fix = f"capture the events again, redacted: {command}"
        raise


def _redaction(flags: RedactFlags, found: FoundProgram) -> FoundRedaction:
    redaction = find_redaction(flags, found.project, found.profile)
    if redaction is None:
        message = "nothing says what to redact"
        fix = "name values with --redact payload.customer.email, or with the key redact of the profile"
        raise UsageError("cli.missing_required_option", message, where="option --redact", fix=fix)
    return redaction


def _check_output(path: str, output: str, found: FoundProgram, key_file: Path | None) -> None:
    reads = [Read(path, "the bundle that is redacted")]
    reads += [Read(file, "a file of the program") for file in found.all_files]
    if key_file is not None:
        reads.append(Read(key_file, "the key of the redaction"))
    refuse_bundle_over(output, reads)
    with open_output(output):
        pass


def _check_gone(path: str, recording: Path, events: RedactedEvents) -> None:
    """Raise ReplayError ``redact.value_remains`` where a replaced value still stands in the new recording."""
    with open_bundle(recording) as made:
        places = list(islice(events.left_in(made), _LISTED + 1))
    if not places:
        return
    raise ReplayError(
        "redact.value_remains",
        f"values that were replaced still stand elsewhere in the new recording of '{path}'",
        where=f"{path} {places[0]}",
        fix="redact those members too; where it is no payload, capture the events again with --redact",
        details=(*places[:_LISTED], *(("and more",) if len(places) > _LISTED else ())),
    )


def _write(recording: Path, output: str) -> None:
    """Copy the recording, compressed by the suffix of its place. Raises CaptureWriteError."""
    compressor = compressor_for(output)
    with open_output(output) as file, recording.open("rb") as text:
        for block in iter(lambda: text.read(_BLOCK), b""):
            file.write(block if compressor is None else compressor.compress(block))
        if compressor is not None:
            file.write(compressor.flush())
        file.commit()
