"""All cases of a report."""

from __future__ import annotations

from itertools import chain, islice, repeat

from msgspec import UNSET
from msgspec.structs import replace

from ergo_cli.report.document import Report
from ergo_cli.report.formats.bundle_cases import BundleCase
from ergo_cli.report.formats.error_cases import case_of_command, case_of_file
from ergo_cli.report.formats.findings import Case
from ergo_cli.report.formats.registry import Around


def cases_of(report: Report, around: Around) -> tuple[Case, ...]:
    """The cases of a report, in its order; a command that failed has at least one that fails."""
    found = [BundleCase(report, bundle, around).case() for bundle in report.bundles]
    if report.files is not UNSET:
        found += [case_of_file(file, around) for file in report.files]
    took = islice(chain(around.seconds, repeat(None)), len(found))
    found = [replace(case, seconds=seconds) for case, seconds in zip(found, took, strict=True)]
    if report.exit_code and (not any(case.fails for case in found) or _is_apart(report)):
        found.append(case_of_command(report, around))
    return tuple(found)


def _is_apart(report: Report) -> bool:
    """Whether the error of the command is that of none of its bundles and files."""
    files = () if report.files is UNSET else report.files
    said = (*(each.error for each in report.bundles), *(error for each in files for error in each.errors))
    return report.error is not None and report.error not in said
