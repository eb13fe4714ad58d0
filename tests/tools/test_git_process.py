"""What git says of its failures."""

from __future__ import annotations

import pytest

from ergo_cli.channels.bounded_run import Finished, Output
from ergo_cli.tools.git_process import complaint

DUBIOUS = b"""fatal: detected dubious ownership in repository at '/srv/desk'
To add an exception for this directory, call:

\tgit config --global --add safe.directory /srv/desk
"""
CORRUPT = b"""error: inflate: data stream error (incorrect header check)
fatal: loose object c20f7beaaf4d17c9d5bcc23f1b47dd9af974477b is corrupt
"""


@pytest.mark.parametrize(
    ("stderr", "said"),
    [
        (DUBIOUS, "detected dubious ownership in repository at '/srv/desk'"),
        (CORRUPT, "loose object c20f7beaaf4d17c9d5bcc23f1b47dd9af974477b is corrupt"),
        (b"", "it ended with status 128"),
    ],
)
def test_the_fatal_line_is_what_counts(stderr: bytes, said: str) -> None:
    assert complaint(Finished(128, Output(), Output(bytearray(stderr), len(stderr)))) == said


def test_a_signal_is_named() -> None:
    assert complaint(Finished(-9, Output(), Output())) == "it was ended by SIGKILL"
