"""A transport that answers calls by running programs of an allow-list (spec 50 §12.6, B-19)."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from errno import EPIPE, errorcode
from hashlib import file_digest
from os import PathLike
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from ergo_cli.channels.bounded_run import Finished, Output, SpawnError, run_bounded
from ergo_cli.core.json import JsonError, NotCanonicalError, decode, free_text
from ergo_cli.core.wire import FreeValue
from ergo_cli.errors import reason
from ergo_cli.programs.plan.errors import ErrorCategory, IoError, io_failed, transport_failed
from ergo_cli.programs.plan.facts import IoCall, Transport
from ergo_cli.stores.artifacts import is_artifact_id

INPUT_LIMIT = 2**20
"""How many bytes of JSON a program may be given."""
OUTPUT_LIMIT = 16 * 2**20
"""The highest limit that can be set for what a program may write."""

_MILLIS = 1_000_000


class RunProgram(Struct, frozen=True):
    """The request of a call; items of ``argv`` that are not texts are left out."""

    kind: str
    program_path: str
    argv: list[Any] = []
    stdin_json: Any = None
    timeout_ms: int = 300_000
    env: dict[str, str] = {}


def exec_transport(
    programs: Mapping[str | PathLike[str], str],
    *,
    folder: str | PathLike[str] | None = None,
    environment: Sequence[str] = (),
    max_output: int = 2**20,
) -> Transport:
    """A transport whose calls run one of ``programs``: allowed files, each with the SHA-256 of its bytes.

    Programs work in ``folder``, by default the current one, where relative paths begin too. Of the environment of ergo
    they see the variables named in ``environment``. More than ``max_output`` bytes on an output fail the call.

    A call starts no shell, and its process group does not outlive it. Its request is
    ``{"kind":"run_program_v1","program_path":…,"argv":[…],"stdin_json":…,"timeout_ms":…,"env":{…}}``, its answer the
    JSON that the program writes. It raises IoError ``plan.exec_*``. Raises ValueError for a digest that is none, and
    for a limit above 16 MiB.
    """
    for path, digest in programs.items():
        if not is_artifact_id(digest):
            raise ValueError(f"the digest of '{path}' is not 64 hexadecimal digits in lower case")
    if not 0 <= max_output <= OUTPUT_LIMIT:
        raise ValueError(f"max_output is between 0 and {OUTPUT_LIMIT}")
    working = None if folder is None else Path(folder)
    allowed = {Path(path): digest for path, digest in programs.items()}

    def run(call: IoCall) -> FreeValue:
        asked = _request(call.request)
        program = _allowed(asked.program_path, allowed, working or Path())
        given = _input(asked, program)
        argv = [word for word in asked.argv if isinstance(word, str)]
        variables = {name: os.environ[name] for name in environment if name in os.environ} | asked.env
        timeout_ns = asked.timeout_ms * _MILLIS
        try:
            done = run_bounded([str(program), *argv], working, variables, given, max_output, timeout_ns)
        except SpawnError as error:
            raise _failed("exec_spawn_failed", f"cannot be started: {reason(error)}", program) from error
        except OSError as error:
            raise _failed("exec_failed", f"cannot be heard: {reason(error)}", program) from error
        if done is None:
            message = f"did not exit within {asked.timeout_ms} ms and was killed"
            raise _failed("exec_timeout", message, program, timeout_ms=asked.timeout_ms)
        return _answer(done, program, max_output)

    return run


def _request(value: FreeValue) -> RunProgram:
    try:
        asked = msgspec.convert(value, RunProgram)
    except msgspec.ValidationError as error:
        raise _invalid(str(error)) from None
    if asked.kind != "run_program_v1":
        raise _invalid("it is of another kind")
    if not 0 <= asked.timeout_ms < 2**64:
        raise _invalid("timeout_ms is not an unsigned integer of 64 bits")
    return asked


def _allowed(named: str, allowed: Mapping[Path, str], folder: Path) -> Path:
    """The file that a request names, without links and ``..``, if it is one of ``allowed``."""
    try:
        program = (folder / named).resolve(strict=True)
    except (OSError, RuntimeError, ValueError):  # absent, links in a circle, a zero byte
        raise io_failed("exec_program_missing", "the program does not exist") from None
    if not (program.is_file() and os.access(program, os.X_OK)):
        raise io_failed("exec_program_not_executable", "the program is not a file that can be executed")
    digests = {digest for path, digest in allowed.items() if (folder / path).resolve() == program}
    if not digests:
        raise io_failed("exec_program_not_allowed", "the program is not one that the transport may run")
    if _digest(program) not in digests:
        raise io_failed("exec_program_not_allowed", "the program's bytes are not those that the transport may run")
    return program


def _digest(program: Path) -> str:
    try:
        with program.open("rb") as file:
            return file_digest(file, "sha256").hexdigest()
    except OSError as error:
        message = f"the program cannot be read, so its bytes are not known: {reason(error)}"
        raise io_failed("exec_program_not_allowed", message) from error


def _input(asked: RunProgram, program: Path) -> bytes:
    try:
        given = free_text(asked.stdin_json)
    except NotCanonicalError as error:
        raise _invalid(f"stdin_json cannot be written as JSON: {error}") from error
    if len(given) > INPUT_LIMIT:
        message = f"would be given {len(given)} bytes; at most {INPUT_LIMIT} are allowed"
        sizes = {"max_stdin_bytes": INPUT_LIMIT, "stdin_bytes": len(given)}
        raise _failed("exec_stdin_too_large", message, program, **sizes)
    return given


def _answer(done: Finished, program: Path, limit: int) -> FreeValue:
    _check_size("stdout", done.stdout, program, limit)
    _check_size("stderr", done.stderr, program, limit)
    if done.input_error is not None and done.input_error.errno != EPIPE:
        number = errorcode.get(done.input_error.errno or 0, "unknown")
        message = f"cannot be given its input: {reason(done.input_error)}"
        raise _failed("exec_stdin_write_failed", message, program, io_error_kind=number) from done.input_error
    if done.status:
        exit_code, signal = (done.status, None) if done.status > 0 else (None, -done.status)
        message = f"was ended by signal {signal}" if exit_code is None else f"exited with status {exit_code}"
        raise _failed("exec_failed", message, program, exit_code=exit_code, signal=signal)
    try:
        return decode(bytes(done.stdout.kept))
    except JsonError:
        message = f"what '{program}' writes is not JSON"
        raise io_failed("exec_stdout_invalid_json", message, ErrorCategory.PARSING_INPUT) from None


def _check_size(name: str, output: Output, program: Path, limit: int) -> None:
    if output.size > limit:
        sizes = {f"max_{name}_bytes": limit, f"{name}_bytes": output.size}
        message = f"wrote {output.size} bytes to {name}; at most {limit} are allowed"
        raise _failed(f"exec_{name}_too_large", message, program, **sizes)


def _invalid(why: str) -> IoError:
    return io_failed("exec_request_invalid", f"the request is not a run_program_v1: {why}", ErrorCategory.PARSING_INPUT)


def _failed(code: str, what: str, program: Path, **details: FreeValue) -> IoError:
    """The error of a program that was allowed; what it was given and wrote is no part of it."""
    named = {"program_path": str(program), **details}
    return transport_failed(code, f"'{program}' {what}", category=ErrorCategory.UNKNOWN, details=named)
