"""Objects at URLs: fetched to an unnamed temporary file, and listed."""

from __future__ import annotations

import fnmatch
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from ergo_cli.stores.durable import close_quietly
from ergo_cli.stores.locations import RemoteError, remote_url
from ergo_cli.stores.object_client import ACCESS_FIX, INSTALL, REACH_FIX, is_refused, opened_store, shown_reason
from ergo_cli.stores.temporaries import unnamed_file

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_HIDDEN = "/."


def fetched(path: str) -> BinaryIO:
    """The bytes of an object in an unnamed temporary file, from its beginning on. Raises RemoteError and OSError."""
    url, spool = remote_url(path), unnamed_file()
    try:
        with faults_of():
            import obstore

            store, name = placed(url)
            for block in obstore.get(store, name).stream():
                spool.write(block)
        spool.seek(0)
    except BaseException:
        close_quietly(spool)
        raise
    return spool


def objects_below(path: str, suffixes: tuple[str, ...]) -> list[str]:
    """The URLs of the objects that a folder, or a pattern of ``fnmatch`` and ``**``, stands for, ascending.

    Of these the ones with one of the suffixes; what begins with a dot is left out. Raises RemoteError.
    """
    url = remote_url(path)
    fixed = _fixed_part(url)
    with faults_of():
        store, prefix = placed(fixed)
        top = fixed[: len(fixed) - len(prefix)] if prefix else fixed.rstrip("/") + "/"
        found = (top + name for name in listed(store, prefix.rstrip("/") or None))
        names = sorted(each for each in found if each.lower().endswith(suffixes) and _HIDDEN not in each[len(top) :])
    if fixed == url:
        return names
    return [name for name in names if _matches(name.split("/"), url.split("/"))]


def listed(store: ObjectStore, prefix: str | None) -> Iterator[str]:
    """The names of all objects below a prefix. Raises the client's exceptions."""
    import obstore

    pages = cast("Iterator[Sequence[Mapping[str, Any]]]", obstore.list(store, prefix))  # pyright: ignore[reportUnknownMemberType] - its other forms need a library that is no requirement
    return (meta["path"] for page in pages for meta in page)


def placed(url: str) -> tuple[ObjectStore, str]:
    """The store of a bucket, container or host, and the name of the object in it."""
    scheme, _, rest = url.partition("://")
    bucket, _, name = rest.partition("/")
    return opened_store(f"{scheme}://{bucket}"), name


def _fixed_part(url: str) -> str:
    """The URL up to the folder in front of the first part with a wildcard."""
    parts = url.split("/")
    at = next((at for at, part in enumerate(parts) if any(sign in part for sign in "*?[")), None)
    return url if at is None else "/".join(parts[:at]) + "/"


def _matches(name: list[str], pattern: list[str]) -> bool:
    if not pattern:
        return not name
    if pattern[0] == "**":
        return any(_matches(name[at:], pattern[1:]) for at in range(len(name) + 1))
    return bool(name) and fnmatch.fnmatchcase(name[0], pattern[0]) and _matches(name[1:], pattern[1:])


@contextmanager
def faults_of() -> Generator[None]:
    """Raise RemoteError for an exception of the client, of whose text only harmless parts are shown."""
    try:
        from obstore.exceptions import BaseError
    except ImportError as error:
        raise RemoteError(f"URLs need obstore, which cannot be imported: {error}", INSTALL) from None
    try:
        yield
    except RemoteError:
        raise
    except FileNotFoundError:
        raise RemoteError("there is no such object, or no such bucket", "name one that is there") from None
    except (BaseError, OSError, ValueError) as error:
        raise RemoteError(shown_reason(str(error)), ACCESS_FIX if is_refused(error) else REACH_FIX) from None
