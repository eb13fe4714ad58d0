"""The page: one file of HTML that fetches nothing, made of the report with Jinja2.

Every value that the template writes is escaped, printable and cut. The policy of the page names its one script and its
one style sheet by their digests, so that nothing else is obeyed, whatever a text of a bundle says.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.resources import files
from typing import TYPE_CHECKING

from msgspec import UNSET

from ergo_cli.errors import ErgoError
from ergo_cli.report.document import Report
from ergo_cli.report.error_text import near, without_hashes
from ergo_cli.report.formats.html import views
from ergo_cli.report.formats.html.data import data_block
from ergo_cli.report.formats.html.episode import episode_view
from ergo_cli.report.formats.html.texts import shown
from ergo_cli.report.formats.registry import Around

if TYPE_CHECKING:
    from jinja2 import Environment

    from ergo_cli.report.compared import Compared

MOST_BYTES = 2_000_000
"""Of a page: what it shows is bounded, so that it stays below."""

_BOUNDS = ((1000, 500), (300, 150), (100, 40))
"""The characters of a text and the rows of a table, from what is usual to what always fits."""

_COMMAND = 8000
"""The characters of a command, which is of no use where it is cut."""


def render(report: Report, around: Around) -> bytes:
    """The page. Raises ErgoError ``cli.report_write_failed`` where Jinja2 is not installed."""
    _check_installed()
    shown_whole = _parts(report, around.compared)
    page = b""
    for width, rows in _BOUNDS:
        template = _environment(width).get_template("page.html.j2")
        page = template.render(shown_whole, most_rows=rows, most_inner=rows // 4).encode()
        if len(page) <= MOST_BYTES:
            break
    return page


def _check_installed() -> None:
    try:
        import_module("jinja2")
    except ImportError as error:
        message = "an HTML report needs Jinja2, which is not installed"
        raise ErgoError("cli.report_write_failed", message, fix="pip install 'ergo-replay[html]'") from error


def _parts(report: Report, compared: Compared | None) -> dict[str, object]:
    """What the template writes, by the names that it has there."""
    from markupsafe import Markup, escape  # comes with Jinja2

    style, script = _text("page.css"), _text("page.js")
    block = None if compared is None else data_block(report, compared)
    deciding = None if compared is None else views.deciding(compared)
    return {
        "report": report,
        "sides": ("recorded", "today") if report.command != "diff" else ("A", "B"),
        "verdict": views.verdict_of(report),
        "subject": views.subject_of(report),
        "lead": views.lead(report, compared),
        "gate": views.gate(compared),
        "tiles": views.tiles(report),
        "errors": views.errors_of(report),
        "warnings": views.warnings_of(report, compared),
        "changes": views.changes_of(report),
        "groups": [] if compared is None else views.group_rows(compared),
        "first": None if deciding is None else views.first_of(deciding, named=len(report.bundles) > 1),
        "commands": [(each.purpose, escape(shown(each.line, _COMMAND))) for each in views.commands(report, compared)],
        "bundles": [] if compared is None or len(report.bundles) < 2 else views.bundle_rows(report, compared),
        "failures": [each for bundle in report.bundles if bundle.failures is not UNSET for each in bundle.failures],
        "episode": None if not report.episode else episode_view(report.episode),
        "files": [] if report.files is UNSET else report.files,
        "expects": [] if report.expects is UNSET else report.expects,
        "block": block,
        "data": None if block is None or not block.held else Markup(block.text),
        "said": _said,
        "style": Markup(style),
        "script": Markup(script),
        "policy": Markup(_policy(style, script)),
    }


def _policy(style: str, script: str) -> str:
    own = f"style-src '{_digest(style)}'; script-src '{_digest(script)}'"
    return f"default-src 'none'; {own}; base-uri 'none'; form-action 'none'"


def _digest(text: str) -> str:
    return "sha256-" + b64encode(sha256(text.encode()).digest()).decode()


@cache
def _text(name: str) -> str:
    return files("ergo_cli.report.formats.html").joinpath(name).read_text(encoding="utf-8")


@cache
def _environment(width: int) -> Environment:
    """Writes templates with each value cut to ``width`` characters."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined  # only a page needs it
    from markupsafe import Markup

    def finished(value: object) -> object:
        return value if isinstance(value, Markup) else shown(str(value), width)

    return Environment(
        autoescape=True,
        finalize=finished,
        keep_trailing_newline=True,
        loader=FunctionLoader(_text),
        lstrip_blocks=True,
        trim_blocks=True,
        undefined=StrictUndefined,
    )


def _said(text: str) -> str:
    return without_hashes(near(text))
