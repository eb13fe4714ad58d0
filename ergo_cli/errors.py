"""Every error that a user of ergo can cause.

One tree; catch the branch you care about, read ``code`` for the exact fault::

    ErgoError
    ├── UsageError          cli.*: the command line or a profile name
    ├── DocumentError       DEC-SYNTAX and the like: a text that is not YAML or JSON, or has the wrong content
    ├── ProgramError        graph.*, program.*: no program, or one that cannot run
    │   ├── PrimitiveError  primitive.*, V.8: an own primitive that is missing, not importable or not deterministic
    │   ├── DiscoveryError  DIS-*, LOAD-IO: a cluster that cannot be found or read
    │   └── RuleError       V.1, I.3, SRC-4 …: a rule of graph programs that is broken (``rule``, ``phase``, ``path``)
    ├── AdapterError        adapter.*, ADP-*, COMP-*: the adapter, or how it fits the program
    ├── EventError          driver.*, fixture.*: the event stream
    ├── EgressError         egress.*, cli.egress_config_*: where intents go, or a channel that would not start
    ├── StepError           host.*: one event that cannot be stepped
    ├── CaptureWriteError   capture.write_failed: the bundle cannot be written
    ├── BundleError         bundle.*: a bundle that cannot be read
    ├── ReplayError         replay.*: a bundle that cannot be replayed or compared
    ├── StoreError          store.*: where the runs of stateful programs are kept
    ├── KernelError         kernel.*: a step-kernel run that cannot go on (in ``programs.kernel.engine.errors``)
    ├── ProjectError        PRJ-*: ergo.toml
    └── LibraryError        the code of its cause: an operation of the library's handle (in ``library.errors``)

Each carries ``code`` (stable), ``message`` (what is wrong), ``where`` (file:line:column, JSON path, node), ``fix``
(what to do), ``rule`` (the rule that is broken, if one has a name), ``details`` and ``causes`` (further errors found,
or the errors behind this one).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeVar

_HIDDEN = "***"
_IN_URL = re.compile(r"(://[^\s:@/'\"]*):[^\n]*@")  # to the last @: a password may hold anything
_QUOTED = r"'(?:[^'\\]|\\.)*(?:'|\Z)"
_PARAMETER = re.compile(rf"(\w*password\s*(?:=|%3d)\s*)(?!\*\*\*)({_QUOTED}|(?:\\.|[^\s&'\"\\])+)", re.IGNORECASE)


def without_passwords(text: str) -> str:
    """``text`` with ``***`` for every password in a URL (``//user:…@``) or a parameter (``password=…``)."""
    if "://" in text:
        text = _IN_URL.sub(rf"\1:{_HIDDEN}@", text)
    if "password" in text.lower():
        text = _PARAMETER.sub(rf"\1{_HIDDEN}", text)
    return text


class ErgoError(Exception):
    """An error that the user can cause and correct.

    Only ``internal.error`` reports a defect, of ergo or of an added kind.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        where: str | None = None,
        fix: str | None = None,
        rule: str | None = None,
        details: Iterable[str] = (),
        causes: Iterable[ErgoError] = (),
    ) -> None:
        message = without_passwords(message)
        super().__init__(message)
        self.code = code
        self.message = message
        self.where = None if where is None else without_passwords(where)
        self.fix = fix
        self.rule = rule
        self.details = tuple(details)
        self.causes = tuple(causes)

    def __reduce__(self) -> tuple[object, ...]:
        """Pickle the attributes and bypass ``__init__``: subclasses take different arguments.

        ``__cause__`` and the traceback are not pickled; an attribute may still hold the cause.
        """
        return _unmade, (type(self), self.args), self.__dict__

    def unfold(self) -> tuple[ErgoError, ...]:
        """Return this error and its causes as one tuple, for several faults of one object; clears ``causes``."""
        causes, self.causes = self.causes, ()
        return (self, *causes)


def _unmade(kind: type[ErgoError], args: tuple[object, ...]) -> ErgoError:
    """A new error of the class ``kind``, without attributes: unpickling sets them."""
    error = kind.__new__(kind)
    error.args = args
    return error


class UsageError(ErgoError):
    """The command line asks for something that does not exist or does not fit together."""


class DocumentError(ErgoError):
    """An authored text (graph, cluster, adapter, manifest) is not what its kind of document must be."""


class ProgramError(ErgoError):
    """No program was found, or the one found cannot run."""


class PrimitiveError(ProgramError):
    """An own primitive is not offered, cannot be imported, or reads a value that a replay cannot reproduce."""


class DiscoveryError(ProgramError):
    """A graph or one of its clusters cannot be found or read, or is ambiguous."""


class RuleError(ProgramError):
    """A rule of graph programs is broken; ``code`` and ``rule`` are the rule's id (spec 20 §15)."""

    def __init__(
        self,
        rule: str,
        message: str,
        *,
        phase: str,
        path: str | None = None,
        fix: str | None = None,
        where: str | None = None,
        node: str | None = None,
        authoring_path: tuple[str, ...] = (),
        details: Iterable[str] = (),
        causes: Iterable[ErgoError] = (),
    ) -> None:
        super().__init__(rule, message, where=where or path, fix=fix, rule=rule, details=details, causes=causes)
        self.phase = phase
        self.path = path
        self.node = node
        self.authoring_path = authoring_path


class AdapterError(ErgoError):
    """An adapter manifest breaks a rule, or does not fit the program or an event."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        path: str | None = None,
        where: str | None = None,
        fix: str | None = None,
        rule: str | None = None,
        details: Iterable[str] = (),
        causes: Iterable[ErgoError] = (),
    ) -> None:
        super().__init__(code, message, where=where or path, fix=fix, rule=rule, details=details, causes=causes)
        self.path = path


class EventError(ErgoError):
    """A line of the event stream cannot be used."""


class EgressError(ErgoError):
    """Intents cannot be routed: a configuration that is wrong, or a channel that would not start."""


class StepError(ErgoError):
    """One event could not be stepped; ``recoverable`` says whether the runner is unharmed (spec 30 §8)."""

    def __init__(
        self,
        name: str,
        message: str,
        *,
        recoverable: bool = False,
        where: str | None = None,
        fix: str | None = None,
        details: Iterable[str] = (),
        causes: Iterable[ErgoError] = (),
    ) -> None:
        super().__init__("host.step_failed", message, where=where, fix=fix, details=details, causes=causes)
        self.name = name
        self.recoverable = recoverable


class CaptureWriteError(ErgoError):
    """The bundle could not be written; ``stage`` is one of the names of spec 11 §9.2. The destination is untouched."""

    def __init__(self, stage: str, message: str, *, where: str | None = None, fix: str | None = None) -> None:
        super().__init__("capture.write_failed", message, where=where, fix=fix, details=(stage,))
        self.stage = stage


class BundleError(ErgoError):
    """A bundle cannot be read, or is not what it claims to be."""


class ReplayError(ErgoError):
    """A bundle cannot be replayed, or cannot be compared under ``--strict``."""


class StoreError(ErgoError):
    """A store of runs, snapshots or artifacts cannot be used, or does not hold what it should (spec 00 §13.8)."""


class ProjectError(ErgoError):
    """``ergo.toml`` cannot be found, read or used."""


_ErrorT = TypeVar("_ErrorT", bound=ErgoError)


def headline(errors: Iterable[_ErrorT]) -> _ErrorT:
    """The error to raise for several: the first of them, with all others behind its own causes (spec 00 §12.1)."""
    first, *others = errors
    first.causes += tuple(others)
    return first


def reason(error: Exception) -> str:
    """The reason of a failure, to end a message: an OSError's text without number and path, else ``str(error)``."""
    return (isinstance(error, OSError) and error.strerror) or str(error)


def text_of(error: BaseException) -> str:
    """The text of an exception, lone surrogates as escapes; empty where its class fails to make it."""
    try:
        return escaped(str(error))
    except Exception:  # noqa: BLE001 - whatever that class raises
        return ""


def described(error: BaseException) -> str:
    """Type and text of an exception: ``ValueError: why``; its type alone where its class fails to make the text."""
    try:
        return escaped(f"{type(error).__name__}: {error}")
    except Exception:  # noqa: BLE001 - whatever that class raises
        return type(error).__name__


def escaped(text: str) -> str:
    """The text with lone surrogates, which no file can hold, as escapes."""
    return text.encode(errors="backslashreplace").decode()


def defect(error: BaseException) -> ErgoError:
    """Wrap an unexpected exception as ``internal.error``, which reports a defect of ergo."""
    return ErgoError(
        "internal.error",
        f"ergo failed: {described(error)}",
        fix="this is a defect of ergo; please report it with the command and the traceback above",
    )


_EXIT_BY_CODE = {
    "replay.graph_id_mismatch": 4,
    "replay.adapter_provenance_mismatch": 4,
    "replay.runtime_provenance_mismatch": 4,
    "replay.adapter_required": 4,
    "replay.unexpected_adapter": 4,
    "replay.external_effect_kind_unrepresentable": 4,
    "pipeline.not_comparable": 4,
    "replay.nothing_matched": 5,
    "replay.decision_mismatch": 1,
    "replay.effect_mismatch": 1,
    "replay.journal_mismatch": 1,
    "replay.host_step_failed": 1,
    "shrink.flaky": 1,
    "expect.past_date": 1,
    "expect.nothing_matched": 1,
    "accept.not_clean": 1,
    "accept.nothing_matched": 5,
    "accept.folder_create_failed": 6,
    "accept.log_write_failed": 6,
    "cli.egress_config_read_failed": 3,
    "cli.egress_config_parse_failed": 3,
    "cli.graph_to_dot_load_failed": 3,
    "cli.graph_to_dot_expand_failed": 3,
    "cli.graph_to_dot_failed": 6,
    "cli.init_target_read_failed": 6,
    "cli.init_current_dir_unavailable": 6,
    "capture.write_failed": 6,
    "capture.not_verified": 1,
    "bisect.folder_create_failed": 6,
    "store.locked": 6,
    "store.read_only": 6,
    "store.full": 6,
    "store.unreachable": 6,
    "internal.error": 70,
    "PRJ-PROFILE": 2,
}


def exit_code(code: str) -> int:
    """The exit code that an error code leads to (spec 00 §12.9): 1 to 6, or 70."""
    if code in _EXIT_BY_CODE:
        return _EXIT_BY_CODE[code]
    if not code.startswith("cli."):
        return 3
    return 6 if code.startswith("cli.graphviz_") or code.endswith(("_write_failed", "_create_failed")) else 2
