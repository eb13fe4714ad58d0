"""The client of object stores: S3, Google Cloud Storage, Azure, and files served by HTTPS; imported at first use.

It is obstore, of the extra ``cloud``. Credentials, region and endpoint are taken from the environment, as the clients
of these services do, and stand in no message.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore.store import ObjectStore, RetryConfig

INSTALL = "pip install 'ergo-replay[cloud]'"
"""The remedy where the client is missing."""

ACCESS_FIX = (
    "set the credentials of the object store in the environment (AWS_ACCESS_KEY_ID …), with the right to use it"
)
REACH_FIX = (
    "check that the object store can be reached, and its region, endpoint and credentials in the environment;"
    " an endpoint of plain http needs AWS_ALLOW_HTTP=true"
)

_RETRIES = 3
_RETRY_SECONDS = 10
_STATUS = r"status code: (\d{3}[\w ]*)"
_CODE = r"<Code>(\w+)</Code>"
_CREDENTIAL = r"(?:AWS|AZURE|GOOGLE)_\w*(?:KEY|TOKEN|SECRET|PASSWORD|SAS)\w*"


def opened_store(url: str) -> ObjectStore:
    """The store at a URL; nothing is connected. Raises ImportError without the client, and its own exceptions."""
    from datetime import timedelta

    import obstore.exceptions  # noqa: F401  # pyright: ignore[reportUnusedImport] - only checked for presence
    from obstore.store import from_url

    retries: RetryConfig = {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)}
    return from_url(url, retry_config=retries)


def is_refused(error: Exception) -> bool:
    """Whether an exception of the client says that the credentials are missing or have no such right."""
    from obstore.exceptions import PermissionDeniedError, UnauthenticatedError

    return isinstance(error, PermissionDeniedError | UnauthenticatedError)


def shown_reason(text: str) -> str:
    """The reason in an exception's text, without addresses, keys and the server's words, which may hold credentials."""
    line = text.partition("\n")[0]
    status, code = re.search(_STATUS, line), re.search(_CODE, text)
    if status is not None:
        why = status[1].strip() if code is None else f"{status[1].strip()}, {code[1]}"
    else:
        why = line.rpartition(" error: ")[2]
    secrets = (value for name, value in os.environ.items() if re.fullmatch(_CREDENTIAL, name) and value)
    return "the client's message is left out, because it holds a credential" if any(map(why.count, secrets)) else why
