"""Wait for changes of files below some folders, which the extra ``watch`` is for."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager

from ergo_cli.errors import ErgoError, reason

_QUIET_MS = 100
"""How long no file may have changed before a change is said, so that what is written together is one."""
_LONGEST_MS = 2000
_TURN_MS = 500
"""How long the first turn lasts, after which changes are noticed for certain."""


@contextmanager
def watching(folders: Sequence[str]) -> Generator[Iterator[set[str]]]:
    """Watch folders and what is below them from now on; generated files of known tools are left out.

    Each item of what is yielded are the real paths of files that changed since the one before; it is waited for.

    Raises ErgoError ``watch.unavailable`` without the extra, ``watch.failed`` where the system does not watch.
    """
    try:
        from watchfiles import watch
    except ImportError as error:
        message = f"watching files needs watchfiles, which cannot be imported: {error}"
        raise ErgoError("watch.unavailable", message, fix="pip install 'ergo-replay[watch]'") from error
    turns = watch(
        *folders,
        debounce=_LONGEST_MS,
        step=_QUIET_MS,
        rust_timeout=_TURN_MS,
        yield_on_timeout=True,
        ignore_permission_denied=True,
    )

    with closing(turns):
        try:
            next(turns)  # from here on changes are noticed
        except (OSError, RuntimeError) as error:
            message = f"the files below {', '.join(folders)} cannot be watched: {reason(error)}"
            fix = "raise the system's limit of watched files (fs.inotify.max_user_watches), or watch fewer folders"
            raise ErgoError("watch.failed", message, fix=fix) from error
        yield ({os.path.realpath(path) for _, path in turn} for turn in turns if turn)
