"""What a scaffolded project is called."""

from __future__ import annotations

import re


def project_name(folder: str) -> str:
    """The name for a project in ``folder``, a single path segment (spec 30 §26).

    ASCII letters and digits in lower case, every run of other characters one ``-``: ``9 Weird__Name!`` is
    ``ergo-9-weird-name``, and a segment without any is ``ergo-app``.
    """
    name = re.sub(r"[^A-Za-z0-9]+", "-", folder).strip("-").lower()
    if not name:
        return "ergo-app"
    return f"ergo-{name}" if name[0].isdigit() else name
