"""Projects made by ``ergo init``, told."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from ergo_cli.host.initialising import Initialised
from ergo_cli.project.scaffold.files import CAPTURE, GUIDE
from ergo_cli.report.blocks import Block, Line, Tone, fields
from ergo_cli.report.document import InitDocument, Report, unicode, warning_texts
from ergo_cli.report.told import Told


def initialisation_told(directory: str, made: Initialised) -> Told:
    """A project made in ``directory``: where it is, what it depends on, and what to do next."""
    guide, bundle = os.path.join(directory, GUIDE), os.path.join(directory, CAPTURE)
    document = InitDocument(
        path=unicode(directory),
        name=made.name,
        requirement=made.requirement,
        guide=unicode(guide),
        bundle=unicode(bundle),
        files=made.files,
    )
    report = Report(command="init", outcome="ok", exit_code=0, warnings=warning_texts(made.notices), init=document)
    pairs = (
        ("name", made.name),
        ("depends on", f"{made.requirement}, as requirements.txt says"),
        ("channels", "need Python 3, as python3 on the PATH"),
        ("guide", guide),
        ("bundle", bundle),
    )
    blocks = (Line(f"created: {directory}", Tone.GOOD), fields(pairs, indent=2), *_next_steps(directory))
    return Told(report, blocks, notices=made.notices)


def _next_steps(directory: str) -> Iterator[Block]:
    yield Line()
    yield Line("next steps")
    if os.path.normpath(directory) != os.curdir:
        yield Line(f"  cd {shlex.quote(directory)}")
    yield Line("  scripts/test")
    yield Line("  ergo replay --strict")
