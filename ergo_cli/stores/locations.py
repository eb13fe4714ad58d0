"""Where bundles, events and reports are: paths of files, or URLs of objects (docs/locations.md)."""

from __future__ import annotations

import re
from urllib.parse import unquote

from ergo_cli.errors import UsageError

_REMOTE = re.compile(r"(s3|gs|az|https):/{1,2}(?=[^/])")
_FILE = re.compile(r"file:/{1,3}(?=[^/])")
_PLAIN = re.compile(r"[^?#@\s]+")


class RemoteError(OSError):
    """An object cannot be read or written; ``fix`` is what helps. The text holds no credential."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(0, why)
        self.fix = fix


def is_remote(path: str) -> bool:
    """Whether a path is a URL of an object: ``s3:``, ``gs:``, ``az:`` or ``https:``.

    Raises UsageError ``cli.invalid_option_value`` for one with a user, a query or a fragment, which it does not show:
    credentials come from the environment, and what is named is shown in reports.
    """
    if ":/" not in path or _REMOTE.match(path) is None:
        return False
    if _PLAIN.fullmatch(path) is None:
        message = "a URL has no user, query or fragment here: what is named is shown in reports"
        fix = "leave that part out; credentials come from the environment (AWS_ACCESS_KEY_ID …)"
        raise UsageError("cli.invalid_option_value", message, where="a URL", fix=fix)
    return True


def remote_url(path: str) -> str:
    """The URL of an object; a path object has made one slash of two."""
    return _REMOTE.sub(r"\1://", path, count=1)


def local_path(path: str) -> str:
    """The path of a file, also of one that a ``file:`` URL names."""
    return unquote(_FILE.sub("/", path, count=1)) if path.startswith("file:/") else path
