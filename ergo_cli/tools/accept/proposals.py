"""What would be written if today's decisions were accepted: made beside, proven, and shown before anything changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.bundle.reader import BundleReader, open_bundle
from ergo_cli.bundle.schema import read_failed
from ergo_cli.errors import ErgoError, ReplayError, UsageError, exit_code, reason
from ergo_cli.events.adapter import adapter_provenance
from ergo_cli.project.finding import FoundProgram
from ergo_cli.project.store import ProgramStore
from ergo_cli.replay.engine import Assignment, replay
from ergo_cli.replay.results import BundleResult, Outcome, failure
from ergo_cli.replay.selection import BundlePath
from ergo_cli.replay.session import ReplayRequest, ReplaySession, find_for_bundle
from ergo_cli.stores.files import STANDARD_INPUT
from ergo_cli.stores.locations import is_remote
from ergo_cli.stores.remedies import temporary_remedy
from ergo_cli.stores.temporaries import temporary_folder
from ergo_cli.tools.accept.rerecording import rerecord, write_with_events

MOST_LISTED = 100_000
"""How many divergences of a bundle can be looked at one group at a time."""


class Proposal(Struct, frozen=True, eq=False):
    """A bundle that differs, and its new recording, which is proven.

    ``result`` is what the new recording decides otherwise, as a replay tells it. ``recording`` is the file of its
    compact or indented text, ``was`` the SHA-256 of the file that it would replace, ``rebound`` how many events hold
    other values of the context.
    """

    path: str
    result: BundleResult
    recording: Path
    was: str
    found: FoundProgram
    fingerprint: str
    rebound: int

    @property
    def is_of_fingerprint_alone(self) -> bool:
        """Whether nothing is decided otherwise: the bundle names another program, or another adapter."""
        return self.result.outcome is Outcome.MATCH

    @property
    def unlisted(self) -> int:
        """How many divergences are counted only."""
        return self.result.divergence_count - len(self.result.divergences)


Proposed = Proposal | ErgoError | None
"""What a bundle comes to: its new recording, what refuses to make one, None where it would be the old one."""


@contextmanager
def workplace() -> Generator[Path]:
    """A folder for new recordings. Raises ErgoError ``accept.folder_create_failed``."""
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(temporary_folder("ergo.accept."))
        except OSError as error:
            message = f"new recordings cannot be put into a temporary folder: {reason(error)}"
            fix = temporary_remedy(error)
            raise ErgoError("accept.folder_create_failed", message, where="temporary folder", fix=fix) from error
        yield folder


def without_links(bundles: Sequence[BundlePath]) -> list[BundlePath]:
    """The bundles, each file once: of a file and links to it the file, else the first link."""
    chosen: dict[str, BundlePath] = {}
    for bundle in sorted(bundles, key=lambda each: os.path.islink(each.path)):
        chosen.setdefault(os.path.realpath(bundle.path), bundle)
    return [each for each in bundles if chosen[os.path.realpath(each.path)] is each]


def propose_each(
    bundles: Iterable[BundlePath],
    request: ReplayRequest,
    store: ProgramStore,
    folder: Path,
    on_event: Callable[[], None] | None,
) -> Iterator[Proposed]:
    """What each bundle comes to, with new recordings in ``folder``; one that is refused stops no other."""
    for bundle in bundles:
        proposed: Proposed
        try:
            proposed = propose(bundle, request, store, folder, on_event)
        except ErgoError as error:
            proposed = error
        yield proposed


def propose(
    bundle: BundlePath,
    request: ReplayRequest,
    store: ProgramStore,
    folder: Path,
    on_event: Callable[[], None] | None = None,
) -> Proposal | None:
    """The new recording of a bundle, made in ``folder``; None where it would be the old one.

    Raises what refuses a replay or a capture of it, UsageError for standard input, and ReplayError as ``rerecord`` and
    ``accept.not_reproducible``.
    """
    path = bundle.path
    if path == STANDARD_INPUT:
        message = "a bundle on standard input cannot be rewritten"
        raise UsageError("cli.invalid_option_value", message, where="argument BUNDLE", fix="name the file of a bundle")
    if is_remote(path):
        message = "an object at a URL is not rewritten: nothing tells whether another process writes it meanwhile"
        fix = "accept a copy of it, and upload that"
        raise UsageError("cli.invalid_option_value", message, where="argument BUNDLE", fix=fix)
    was = digest_of(path)
    session = ReplaySession(replace(request, max_divergences=MOST_LISTED), store)
    flags = request.flags if bundle.profile is None else replace(request.flags, profile=bundle.profile)
    with open_bundle(path) as reader:
        found = find_for_bundle(reader, flags, store)
        assigned = session.assign(flags, reader)
        result = _replayed(path, assigned)
        if result.outcome is Outcome.MATCH and is_of(reader, found):
            return None
        recording = folder / f"{len(list(folder.iterdir()))}.json"
        made = rerecord(reader, found, assigned.options.numbers, str(recording), on_event)
        prove(path, recording, assigned)
        if made.rebound:
            result = _decided_anew(reader, recording, assigned)
    return Proposal(path, result, recording, was, found, made.fingerprint, made.rebound)


def digest_of(path: str) -> str:
    """The SHA-256 of a file. Raises BundleError ``bundle.read_failed``."""
    digest = sha256()
    try:
        with open(path, "rb") as file:
            for block in iter(partial(file.read, 1 << 16), b""):
                digest.update(block)
    except OSError as error:
        raise read_failed(path, reason(error)) from error
    except ValueError as error:
        raise read_failed(path, str(error)) from error
    return digest.hexdigest()


def is_of(reader: BundleReader, found: FoundProgram) -> bool:
    """Whether the bundle names today's program and adapter, as ``--strict`` demands."""
    program = found.program
    return (reader.graph_id, reader.runtime_provenance, reader.adapter_provenance) == (
        program.graph_id,
        program.provenance,
        adapter_provenance(found.adapter),
    )


def _replayed(path: str, assigned: Assignment) -> BundleResult:
    result = replay(path, lambda _: assigned)
    if result.error is not None:
        raise result.error
    return result


def prove(path: str, recording: Path, assigned: Assignment) -> None:
    """Replay the new recording strictly. Raises ReplayError ``accept.not_reproducible``."""
    strict = replace(assigned, options=replace(assigned.options, strict=True, max_divergences=1))
    error = failure(replay(str(recording), lambda _: strict))
    if error is None:
        return
    if exit_code(error.code) == 1:
        message = f"today's program does not decide its own recording of '{path}' again: {_why(error, recording, path)}"
        fix = "make the program deterministic; ergo capture --verify finds what it depends on"
    else:
        message = f"a strict replay refuses what today's program makes of '{path}': {_why(error, recording, path)}"
        fix = "mend the program; ergo replay says how its episodes end"
    raise ReplayError("accept.not_reproducible", message, where=path, fix=fix, details=error.details)


def _why(error: ErgoError, recording: Path, path: str) -> str:
    return error.message.replace(str(recording), path)


def _decided_anew(reader: BundleReader, recording: Path, assigned: Assignment) -> BundleResult:
    """What differs from the recorded decisions if the events hold today's context."""
    mixed = recording.with_suffix(".was.json")
    with open_bundle(recording) as made:
        write_with_events(reader, made.events(), str(mixed))
    return replace(_replayed(str(mixed), assigned), path=reader.path)
