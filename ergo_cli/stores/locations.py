"""Where bundles, events and reports are: paths of files, or URLs of objects (docs/locations.md)."""

from __future__ import annotations

import re

from ergo_cli.errors import UsageError

_REMOTE = re.compile(r"(s3|gs|az|https):/{1,2}(?=[^/])")
_FILE = re.compile(r"file:/{1,3}(?=[^/])")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://|(?i:(https?|s3a?|gs|az|ftp):)/")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


FORMS = "s3://, gs://, az://, https:// or file:// in small letters, or the path of a file"
"""The URLs that name a place."""


class RemoteError(OSError):
    """An object cannot be read or written; ``fix`` is what helps. The text holds no credential."""

    def __init__(self, why: str, fix: str) -> None:
        super().__init__(0, why)
        self.fix = fix


def is_remote(path: str) -> bool:
    """Whether a path is a URL of an object: ``s3:``, ``gs:``, ``az:`` or ``https:``.

    Raises UsageError ``cli.invalid_option_value`` for a URL of another scheme, one with a user, a query or a fragment,
    which it does not show, and one whose name has an empty part, ``.`` or ``..``. Credentials come from the
    environment, and what is named is shown in reports.
    """
    if ":/" not in path:
        return False
    found = _REMOTE.match(path)
    if found is None:
        _check_scheme(path)
        return False
    host, _, name = path[found.end() :].partition("/")
    if "@" in host or "?" in path or "#" in path:
        message = "a URL has no user, query or fragment here: what is named is shown in reports"
        fix = "leave that part out; credentials come from the environment (AWS_ACCESS_KEY_ID …)"
        raise _refused(message, fix)
    parts = name.removesuffix("/").split("/")
    if _CONTROL.search(path) or any(part in ("", ".", "..") for part in parts if name):
        message = f"the name {name!r} has an empty part, `.`, `..` or a control character"
        raise _refused(message, "name an object without them: services and tools do not agree on what they mean")
    return True


def _check_scheme(path: str) -> None:
    """Refuse a URL that would be taken for a path of folders."""
    found = _SCHEME.match(path)
    if found is not None and not path.startswith("file:/"):
        scheme = found[1] or found[2]
        raise _refused(f"'{scheme}:' is no kind of URL that is read or written", f"write {FORMS}")


def _refused(message: str, fix: str) -> UsageError:
    return UsageError("cli.invalid_option_value", message, where="a URL", fix=fix)


def remote_url(path: str) -> str:
    """The URL of an object; a path object has made one slash of two."""
    return _REMOTE.sub(r"\1://", path, count=1)


def local_path(path: str) -> str:
    """The path of a file, also of one that a ``file:`` URL names."""
    if not path.startswith("file:/"):
        return path
    from urllib.parse import unquote  # imported here: most paths are no URLs

    return unquote(_FILE.sub("/", path, count=1))
