"""Whether a finished bundle holds where nothing is as it was: other processes, other surroundings (``--verify``).

The bundle is replayed strictly by two processes. Both have another hash seed, time zone, locale and working folder than
this one; the second one replays it repeatedly.
"""

from __future__ import annotations

import locale
import os
import pickle
import shlex
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from ergo_cli.channels.bounded_run import Finished, run_bounded
from ergo_cli.core.numbers import Numbers
from ergo_cli.core.time import NANOS
from ergo_cli.errors import ErgoError, reason
from ergo_cli.host.perform import RunResult
from ergo_cli.project.finding import FoundProgram, ProgramFlags
from ergo_cli.replay.results import BundleResult, Divergence, Outcome
from ergo_cli.replay.session import ReplayRequest
from ergo_cli.stores.files import move_into_place
from ergo_cli.stores.inflation import limit_in_force
from ergo_cli.stores.temporaries import temporary_folder
from ergo_cli.tools.elsewhere import Answer, Task, first_divergence, node_outputs

NOT_VERIFIED = "capture.not_verified"
"""The code of a bundle of which it is not known whether it holds."""

_LEAST_NS = 60 * NANOS
_TIMES = 10
_MOST_LISTED = 100
_MOST_BYTES = 256 * 1024 * 1024
_SEEDS = ("1", "2", "3")
_ZONES = {"ERGO-5:45": 20_700, "ERGO+9:30": -34_200, "ERGO-13": 46_800}
"""Time zones as POSIX writes them, which need no data base, and their offsets from UTC in seconds."""
_LOCALES = ("tr_TR.UTF-8", "de_DE.UTF-8", "fr_FR.UTF-8", "en_US.UTF-8", "C", "C.UTF-8", "POSIX")
_LAST_LINES = 5
_MAIN = "from ergo_cli.tools.elsewhere import main; main()"  # run as a module, its classes would be of __main__


class Verification(Struct, frozen=True):
    """The replay of a bundle elsewhere: a match, or the first that differs.

    ``surroundings`` are the variables of its process, as a shell writes them; ``is_again``: it differs only in a
    process that had replayed the bundle before.
    """

    result: BundleResult
    surroundings: tuple[str, ...]
    is_again: bool

    @property
    def holds(self) -> bool:
        """Whether every replay matched."""
        return self.result.outcome is Outcome.MATCH


def verify(bundle: str, request: ReplayRequest, spent_ns: int) -> Verification:
    """Replay a bundle strictly elsewhere; each of two processes may take a minute and ten times ``spent_ns``.

    Raises ErgoError ``capture.not_verified`` where that comes to no result, with what refused it as its cause.
    """
    request = replace(request, max_divergences=_MOST_LISTED)
    limit = _LEAST_NS + _TIMES * spent_ns
    verification = None
    for is_repeated, other in enumerate(islice(_surroundings(os.environ), 2)):
        task = Task(os.path.abspath(bundle), request, bool(is_repeated), limit_in_force())
        answer = _answer(bundle, task, other, limit)
        if isinstance(answer.outcome, ErgoError):
            raise _refused(bundle, answer.outcome)
        if answer.outcome.error is not None:
            raise _refused(bundle, answer.outcome.error)
        words = tuple(f"{name}={value}" for name, value in other.items())
        verification = Verification(_with_origin(task, answer, answer.outcome, bundle), words, answer.is_again)
        if answer.outcome.outcome is Outcome.DIVERGED:
            break
    assert verification is not None, "there are surroundings enough"
    return verification


def settle(
    result: RunResult, flags: ProgramFlags, numbers: Numbers, spent_ns: int
) -> tuple[RunResult, Verification | ErgoError | None]:
    """Move the bundle that a run left beside its destination into place, if it holds elsewhere.

    The bundle of a run that is not whole is not verified and stays. ``flags`` select its program from anywhere.
    Raises CaptureWriteError.
    """
    if not result.is_whole or result.bundle is None or result.destination is None:
        return result, None
    try:
        found = verify(result.bundle, ReplayRequest(flags, strict=True, numbers=numbers), spent_ns)
    except ErgoError as error:
        if error.code != NOT_VERIFIED:
            raise
        return result, error
    if not found.holds:
        return result, found
    move_into_place(result.bundle, result.destination)
    moved = replace(found, result=replace(found.result, path=result.destination))
    return replace(result, bundle=result.destination), moved


def flags_from_anywhere(flags: ProgramFlags, found: FoundProgram) -> ProgramFlags:
    """Options that select the program that was ``found``, from whatever folder they are read."""
    flags = replace(
        flags,
        graph=_absolute(flags.graph),
        adapter=_absolute(flags.adapter),
        cluster_paths=tuple(path.absolute() for path in flags.cluster_paths),
        project=_absolute(flags.project),
    )
    project, profile = found.project, found.profile
    if project is not None and project.trusted:
        return replace(flags, project=project.root, profile=None if profile is None else profile.name)
    if profile is None:
        return flags
    clusters = profile.cluster_paths + flags.cluster_paths
    adapter = flags.adapter or profile.adapter
    return replace(flags, graph=flags.graph or profile.graph, adapter=adapter, cluster_paths=clusters, profile=None)


def _absolute(path: Path | None) -> Path | None:
    return None if path is None else path.absolute()


def _surroundings(ours: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Variables that make surroundings unlike ``ours``, and unlike each other."""
    seeds = (seed for seed in _SEEDS if seed != ours.get("PYTHONHASHSEED"))
    zones = (zone for zone, offset in _ZONES.items() if offset != -time.timezone)
    here = next((ours[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if ours.get(name)), "C")
    locales = (name for name in _LOCALES if name != here and _is_installed(name))
    for seed, zone, name in zip(seeds, zones, locales, strict=False):
        yield {"PYTHONHASHSEED": seed, "TZ": zone, "LC_ALL": name}


def _is_installed(name: str) -> bool:
    before = locale.setlocale(locale.LC_TIME)
    try:
        locale.setlocale(locale.LC_TIME, name)
    except locale.Error:
        return False
    locale.setlocale(locale.LC_TIME, before)
    return True


def _answer(bundle: str, task: Task, other: Mapping[str, str], limit: int) -> Answer:
    """What a new process answers. Raises ErgoError ``capture.not_verified`` if it does not."""
    environment = {**os.environ, **other}
    if "PYTHONPATH" in environment:
        paths = environment["PYTHONPATH"].split(os.pathsep)
        environment["PYTHONPATH"] = os.pathsep.join(os.path.abspath(path) for path in paths if path)
    command = (sys.executable, "-P", "-c", _MAIN)
    try:
        with temporary_folder("ergo.elsewhere.") as folder:
            done = run_bounded(command, folder, environment, pickle.dumps(task), _MOST_BYTES, limit)
    except OSError as error:
        raise _unanswered(bundle, f"no process could be started: {reason(error)}") from error
    if done is None:
        raise _unanswered(bundle, f"the replay of another process had not ended after {limit // NANOS} seconds")
    if done.status or done.stdout.size > len(done.stdout.kept):
        raise _died(bundle, done)
    try:
        return pickle.loads(done.stdout.kept)
    except (EOFError, pickle.UnpicklingError):  # the program ended it before it could answer
        raise _died(bundle, done) from None


def _with_origin(task: Task, answer: Answer, result: BundleResult, bundle: str) -> BundleResult:
    """The result under the path of the bundle as given, the differences of the first decision with the first node."""
    result = replace(result, path=bundle)
    first = first_divergence(result)
    if first is None or not answer.outputs:
        return result
    here = node_outputs(task.bundle, task.request, first)
    origin = next((node for node, gave in here.items() if answer.outputs.get(node, gave) != gave), None)
    if origin is None:
        return result

    def named(each: Divergence) -> Divergence:
        if (each.seq, each.event_id) != (first.seq, first.event_id):
            return each
        by_key = None if each.by_key is None else tuple(map(named, each.by_key))
        return replace(each, origin=each.origin or origin, by_key=by_key)

    return replace(result, divergences=tuple(map(named, result.divergences)))


def _refused(bundle: str, cause: ErgoError) -> ErgoError:
    message = f"'{bundle}' cannot be replayed in another process: {cause.message}"
    return _error(bundle, message, cause.fix, causes=(cause,))


def _died(bundle: str, done: Finished) -> ErgoError:
    how = f"was ended by {signal.Signals(-done.status).name}" if done.status < 0 else f"ended with code {done.status}"
    said = done.stderr.kept.decode(errors="replace").splitlines()[-_LAST_LINES:]
    return _unanswered(bundle, f"the process that replayed it {how}", tuple(said))


def _unanswered(bundle: str, why: str, details: tuple[str, ...] = ()) -> ErgoError:
    fix = f"see what 'ergo replay {shlex.quote(bundle)} --strict' does"
    return _error(bundle, f"'{bundle}' could not be verified: {why}", fix, details)


def _error(
    bundle: str, message: str, fix: str | None, details: tuple[str, ...] = (), causes: tuple[ErgoError, ...] = ()
) -> ErgoError:
    return ErgoError(NOT_VERIFIED, message, where=bundle, fix=fix, details=details, causes=causes)
