"""Runs ``ergo`` in this process and kills it (SIGKILL) in the middle of its work on files.

``killed_at.py EVENT NAME COUNT WORD…``: the process dies when the audit event ``EVENT`` (``open``, ``os.rename``) is
about to touch a path whose name fits the glob ``NAME`` for the ``COUNT``-th time; the call itself is not made.
"""

from __future__ import annotations

import os
import signal
import sys
from fnmatch import fnmatchcase
from pathlib import PurePath

from ergo_cli.cli.app import main


class Death:
    """An audit hook that counts calls on files and dies at one of them."""

    def __init__(self, event: str, name: str, count: int) -> None:
        self._event, self._name, self._left = event, name, count

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event != self._event:
            return
        path = arguments[1] if event == "os.rename" else arguments[0]
        if isinstance(path, str | PurePath) and fnmatchcase(PurePath(path).name, self._name):
            self._left -= 1
            if self._left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    _, chosen, glob, number, *sys.argv[1:] = sys.argv
    sys.addaudithook(Death(chosen, glob, int(number)))
    main()
