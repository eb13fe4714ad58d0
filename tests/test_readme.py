"""What the README and the chapters promise, held against the code; ``test_chapters`` runs the examples."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import fields

import ergo_cli
from ergo_cli.errors import exit_code
from ergo_cli.project.project_file import Profile
from ergo_cli.report.document import DivergenceDocument, ErrorDocument, InitDocument, Report
from tests.conftest import Ergo

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
DOCUMENTED = "".join(page.read_text(encoding="utf-8") for page in PAGES)
AUTHORED = {".yaml", ".json", ".jsonl"}
PROJECT_KEYS = ("name", "version", "primitives", "ignore", "numbers")
FIXTURES = sorted(path.parent for path in (ROOT / "fixtures").glob("*/ergo.toml"))


def test_the_public_names_are_these_and_can_be_imported() -> None:
    assert ergo_cli.__all__ == sorted(ergo_cli.__all__)
    for name in ergo_cli.__all__:
        assert getattr(ergo_cli, name).__doc__
    with pytest.raises(AttributeError, match="nothing_such"):
        _ = ergo_cli.nothing_such  # type: ignore[attr-defined]


def test_the_two_used_by_lines_work_in_an_empty_folder(ergo: Ergo, tmp_path: Path) -> None:
    (stream,) = re.findall(r"`events\.jsonl`:\n\n```json\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    (tmp_path / "events.jsonl").write_text(stream)
    lines = re.findall(r"^\$ ergo ((?:capture|replay) .*?\.json.*?) +#", README, re.MULTILINE)[:2]
    assert lines == ["capture events.jsonl -o bundle.json", "replay bundle.json --strict"]
    for line in lines:
        ran = ergo(*line.split())
        assert ran.exit_code == 0, ran.stderr
    assert "ergo:schedule" in (tmp_path / "bundle.json").read_text()


@pytest.mark.parametrize("project", FIXTURES, ids=lambda path: path.name)
def test_fixtures_find_their_project_and_pass_their_gate(project: Path, ergo: Ergo, tmp_path: Path) -> None:
    shutil.copytree(project, tmp_path / "project")
    home = tmp_path / "project"
    (events,), (kept,) = (home / "events").iterdir(), (home / "captures").iterdir()
    before = kept.read_bytes()
    assert ergo("replay", "--strict", cwd=home).exit_code == 0
    assert ergo("capture", cwd=home).exit_code == 0
    assert kept.read_bytes() == before
    assert ergo("capture", f"events/{events.name}", "-o", "bundle.json", cwd=home).exit_code == 0
    assert ergo("replay", "bundle.json", "--strict", cwd=home).exit_code == 0
    assert (home / "bundle.json").read_bytes() == before


@pytest.mark.parametrize("project", FIXTURES, ids=lambda path: path.name)
def test_fixtures_are_valid_to_the_last_warning(project: Path, ergo: Ergo) -> None:
    files = [path for path in sorted(project.rglob("*")) if path.suffix in AUTHORED or path.name == "ergo.toml"]
    ran = ergo("validate", "--strict", *files, cwd=project)
    assert ran.exit_code == 0, ran.stdout + ran.stderr


def test_the_divergence_on_screen_is_what_a_user_sees(ergo: Ergo, tmp_path: Path) -> None:
    (shown,) = re.findall(r"\$ ergo replay bundle\.json\n(differs.*?)\n\$ echo", README, re.DOTALL)
    shutil.copytree(ROOT / "fixtures" / "order_threshold", tmp_path / "project")
    home = tmp_path / "project"
    assert ergo("capture", "events/monday.jsonl", "-o", "bundle.json", cwd=home).exit_code == 0
    graph = home / "graphs" / "order_threshold.yaml"
    graph.write_text(graph.read_text().replace("value: 105.0", "value: 104.0"))
    ran = ergo("replay", "bundle.json", cwd=home)
    assert ran.exit_code == 1
    assert ran.stdout.strip() == shown.strip()


def test_the_exit_codes_are_documented() -> None:
    codes = {int(code) for code in re.findall(r"^\| (\d+) \|", README, re.MULTILINE)}
    assert codes == {0, 1, 2, 3, 4, 5, 6, 7, 70, 130}
    reached = ("cli.usage", "graph.load_failed", "capture.write_failed", "internal.error")
    assert {exit_code(code) for code in reached} <= codes


def test_every_command_and_option_is_documented(ergo: Ergo) -> None:
    for command in commands_below(ergo):
        assert f"`{command}`" in README
        subcommands = commands_below(ergo, command)
        for path in [(command,), *((command, subcommand) for subcommand in subcommands)]:
            for option in set(re.findall(r"--[a-z-]+", ergo(*path, "--help").stdout)):
                assert re.search(rf"(?<![\w-]){option}(?![\w-])", DOCUMENTED), f"{path} {option}"


@pytest.mark.parametrize(
    ("page", "script"),
    [("commands.md", "commands_page.py"), ("divergence.svg", "divergence_picture.py")],
)
def test_what_is_made_by_a_script_is_what_it_makes(page: str, script: str) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "scripts" / script], capture_output=True, encoding="utf-8", check=True, timeout=120
    )
    kept = (ROOT / "docs" / page).read_text(encoding="utf-8")
    if page.endswith(".svg"):  # another Rich draws the same texts otherwise
        assert texts(done.stdout) == texts(kept)
    else:
        assert done.stdout == kept


def texts(picture: str) -> list[str]:
    """The lines of a drawn screen."""
    rows: dict[str, str] = {}
    for y, text in re.findall(r'<text class="divergence-r\d+" x="[\d.]+" y="([\d.]+)"[^>]*>([^<]*)</text>', picture):
        rows[y] = rows.get(y, "") + text.strip("\n")
    assert len(rows) > 10
    return list(rows.values())


def commands_below(ergo: Ergo, *path: str) -> list[str]:
    """The commands that a group of commands names, none if it is no group."""
    _, _, listed = ergo(*path, "--help").stdout.partition("Commands:")
    return re.findall(r"^  ([a-z-]+)  ", listed, re.MULTILINE)


def test_every_key_of_a_project_is_documented() -> None:
    keys = {*PROJECT_KEYS, "graph", "kernel", "plan"}
    keys |= {field.name for field in fields(Profile)} - {"name", "program"}
    page = (ROOT / "docs" / "projects.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", page, re.MULTILINE))))
    assert keys <= documented


def test_every_member_of_a_report_is_documented() -> None:
    page = (ROOT / "docs" / "reports.md").read_text(encoding="utf-8")
    for document in (Report, ErrorDocument, DivergenceDocument, InitDocument):
        for field in fields(document):
            assert re.search(rf"[`\"]{field.encode_name}[`\"]", page), field.encode_name


def test_every_family_of_error_codes_is_documented() -> None:
    page = (ROOT / "docs" / "reports.md").read_text(encoding="utf-8")
    raised = {code for source in (ROOT / "ergo_cli").rglob("*.py") for code in codes_raised(source)}
    assert {"cli.usage", "bundle.digest_mismatch", "PRJ-PARSE", "store.corrupt", "kernel.not_canonical"} <= raised
    for code in raised:
        (family,) = re.findall(r"^\w+?[.-]", code)
        assert code == "LOAD-IO" or f"`{family}" in page, code


def codes_raised(source: Path) -> set[str]:
    """What a module gives to errors as their code."""
    calls = [node for node in ast.walk(ast.parse(source.read_bytes())) if isinstance(node, ast.Call)]
    texts = [value for call in calls if "rror" in ast.unparse(call.func) for value in (*call.args[:1], *code_of(call))]
    codes = {text.value for text in texts if isinstance(text, ast.Constant) and isinstance(text.value, str)}
    return {code for code in codes if re.fullmatch(r"[a-z]+\.[a-z_]+|[A-Z]+-[A-Z0-9-]+|[A-Z]\.[0-9]+", code)}


def code_of(call: ast.Call) -> list[ast.expr]:
    return [keyword.value for keyword in call.keywords if keyword.arg == "code"]


def test_every_link_of_the_documentation_leads_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
            if target.startswith("https://"):
                continue
            name, _, heading = target.partition("#")
            linked = page.parent / name if name else page
            assert linked.is_file(), f"{page.name}: {target}"
            assert not heading or heading in headings(linked), f"{page.name}: {target}"
    linked = set(re.findall(r"\]\((?:docs/)?(\w[\w-]*\.md)\)", README))
    assert {path.name for path in PAGES} - {"README.md"} == linked


def headings(page: Path) -> set[str]:
    """How links name the headings of a page."""
    titles = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
