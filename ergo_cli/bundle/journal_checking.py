"""What a v4 bundle holds beside its records, checked for itself (spec 00 §12.8, §13.4)."""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.bundle.faults import FIX
from ergo_cli.bundle.journals import check_no_journals
from ergo_cli.bundle.reader import BundleReader
from ergo_cli.errors import BundleError


def check_journals(reader: BundleReader) -> Iterator[BundleError]:
    """Every embedded source whose digest is wrong; what is wrong with journals and artifacts, the first of it."""
    if reader.program is None:
        return
    for index, source in enumerate(reader.program.sources or ()):
        if not source.is_intact:
            message = f"the embedded text of '{source.path}' does not match its digest"
            where = f"{reader.path} program.sources[{index}]"
            yield BundleError("bundle.inconsistent", message, where=where, fix=FIX)
    try:
        match reader.program.kind:
            case "graph":
                check_no_journals(reader)
            case "kernel":
                yield from _check_terminations(reader)
            case _:
                return
    except BundleError as error:
        yield error


def _check_terminations(reader: BundleReader) -> Iterator[BundleError]:
    """The last call of every episode ended as its decision says."""
    from ergo_cli.bundle.kernel_journals import KernelJournals  # other bundles need not pay for it

    for seq, (decision, episode) in enumerate(KernelJournals(reader).episodes()):
        if episode is not None and episode.calls[-1].end.termination != decision.termination:
            message = f"the journal of event '{decision.event_id}' ends otherwise than its decision says"
            where = f"{reader.path} decisions[{seq}].termination"
            yield BundleError("bundle.inconsistent", message, where=where, fix=FIX)
