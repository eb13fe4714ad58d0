"""All cases of a report."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

from ergo_cli.report.document import Report
from ergo_cli.report.formats.bundle_cases import BundleCase
from ergo_cli.report.formats.error_cases import case_of_command, case_of_file
from ergo_cli.report.formats.findings import Case
from ergo_cli.report.formats.registry import Around


def cases_of(report: Report, around: Around) -> tuple[Case, ...]:
    """The cases of a report, in its order; a command that failed has at least one that fails."""
    seconds = around.seconds + (None,) * len(report.bundles)
    found = [
        replace(BundleCase(report, bundle, around).case(), seconds=took)
        for bundle, took in zip(report.bundles, seconds, strict=False)
    ]
    if report.files is not UNSET:
        found += [case_of_file(file, around) for file in report.files]
    if report.exit_code and (not any(case.fails for case in found) or _is_apart(report)):
        found.append(case_of_command(report, around))
    return tuple(found)


def _is_apart(report: Report) -> bool:
    """Whether the error of the command is that of none of its bundles and files."""
    files = () if report.files is UNSET else report.files
    said = (*(each.error for each in report.bundles), *(error for each in files for error in each.errors))
    return report.error is not None and report.error not in said
