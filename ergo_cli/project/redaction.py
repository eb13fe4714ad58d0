"""What a run redacts, as its options and its project say, and the key: from a file, or from the environment."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from ergo_cli.errors import ErgoError, UsageError, reason
from ergo_cli.project.profiles import ResolvedProfile
from ergo_cli.project.project_file import Project
from ergo_cli.project.trust import check_path

if TYPE_CHECKING:
    from ergo_cli.events.redaction import Redaction

KEY_VARIABLE = "ERGO_REDACT_KEY"
"""The environment variable that holds the key."""

LEAST_KEY = 16
"""The fewest bytes of a key."""

_MOST_KEY = 4096
_MAKE_KEY = "make one of at least 32 characters: openssl rand -hex 32"


class RedactFlags(Struct, frozen=True):
    """The options ``--redact`` and ``--redact-key-file``."""

    paths: tuple[str, ...] = ()
    key_file: Path | None = None


class FoundRedaction(Struct, frozen=True):
    """A redaction, and the file that its key was read from, None for the environment."""

    redaction: Redaction
    key_file: Path | None


def find_redaction(
    flags: RedactFlags, project: Project | None, profile: ResolvedProfile | None
) -> FoundRedaction | None:
    """The redaction of the paths of ``flags`` and of the profile, without one of the project; None without paths.

    The key is in the file of ``flags``, else in the environment, else in the file that the profile or the project
    names. Raises UsageError for a text that is not a path, for paths without a key and a key without paths; ErgoError
    ``redact.key_invalid``; ProgramError ``program.import_refused``.
    """
    paths = (*_paths_of(project, profile), *flags.paths)
    if not paths:
        if flags.key_file is not None:
            raise _nothing_to_redact()
        return None
    key_file = flags.key_file
    if key_file is None and not os.environ.get(KEY_VARIABLE):
        key_file = _key_file_of(project, profile)
    key = _key_of_environment() if key_file is None else _key_in(key_file)
    return FoundRedaction(redaction_of(paths, key), key_file)


def redaction_of(paths: Iterable[str], key: bytes) -> Redaction:
    """The redaction of these paths. Raises UsageError ``cli.invalid_option_value`` for a text that is not a path."""
    from ergo_cli.events.redaction import PATH_FIX, Redaction, RedactionPath, RedactionPathFault  # most runs have none

    try:
        return Redaction([RedactionPath(path) for path in dict.fromkeys(paths)], key)
    except RedactionPathFault as fault:
        raise UsageError("cli.invalid_option_value", str(fault), where="option --redact", fix=PATH_FIX) from fault


def redaction_for_checks(profile: ResolvedProfile) -> Redaction | None:
    """The redaction of a profile under a key that is no secret, for what is checked and not kept."""
    return redaction_of(profile.redact, bytes(LEAST_KEY)) if profile.redact else None


def checked_key(key: bytes, where: str) -> bytes:
    """A key without the line end behind it. Raises ErgoError ``redact.key_invalid`` for one that is too short."""
    key = key.rstrip(b"\r\n")
    if len(key) < LEAST_KEY:
        raise _invalid(f"the key has {len(key)} bytes, fewer than {LEAST_KEY}", where, _MAKE_KEY)
    return key


def _paths_of(project: Project | None, profile: ResolvedProfile | None) -> tuple[str, ...]:
    if profile is not None:
        return profile.redact
    return () if project is None else project.redact


def _key_file_of(project: Project | None, profile: ResolvedProfile | None) -> Path | None:
    """The key file that the profile names, without one the project. Raises ProgramError for one that is out of it."""
    path = None
    if profile is not None:
        project, path = profile.project, profile.redact_key_file
    elif project is not None and project.redact_key_file is not None:
        path = project.root / project.redact_key_file
    if project is not None and path is not None:
        check_path(project, path, "redact_key_file")
    return path


def _key_of_environment() -> bytes:
    text = os.environ.get(KEY_VARIABLE)
    if not text:
        fix = f"set {KEY_VARIABLE}, or name a file with --redact-key-file or redact_key_file; {_MAKE_KEY}"
        message = "values are to be redacted, and there is no key"
        raise UsageError("cli.missing_required_option", message, where=_VARIABLE, fix=fix)
    return checked_key(os.fsencode(text), _VARIABLE)


def _key_in(file: Path) -> bytes:
    """The bytes of a file. Raises ErgoError ``redact.key_invalid``."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise _invalid(f"the key cannot be read from '{file}': it is not a plain file", str(file))
        with file.open("rb") as opened:
            key = opened.read(_MOST_KEY + 1)
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
        raise _invalid(f"the key cannot be read from '{file}': {reason(error)}", str(file)) from error
    if len(key) > _MOST_KEY:
        raise _invalid(f"'{file}' is no key: it holds more than {_MOST_KEY} bytes", str(file))
    return checked_key(key, str(file))


_VARIABLE = f"environment variable {KEY_VARIABLE}"


def _invalid(message: str, where: str, fix: str = "name the file that holds the key") -> ErgoError:
    return ErgoError("redact.key_invalid", message, where=where, fix=fix)


def _nothing_to_redact() -> UsageError:
    message = "there is a key to redact with, and nothing says what to redact"
    fix = "name values with --redact payload.customer.email, or with the key redact of the profile"
    return UsageError("cli.missing_required_option", message, where="option --redact", fix=fix)
