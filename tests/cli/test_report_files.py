"""``--report FORMAT=PATH``: several files beside the result, each whole or not at all, none over what was read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ci_readers import gitlab, junit, sarif
from html_reader import Page

from tests.conftest import Ergo

FIXTURES = Path(__file__).parents[2] / "fixtures"
MATCH = "match  captures/monday.json  8 events, 8 invoked\n"


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    home = tmp_path / "desk"
    shutil.copytree(FIXTURES / "order_threshold", home)
    return home


def test_several_at_once(ergo: Ergo, desk: Path) -> None:
    asked = ("junit=out/junit.xml", "sarif=ergo.sarif", "gitlab=quality.json", "json=report.json", "junit=again.xml")
    asked += ("html=result.html",)
    ran = ergo("replay", *(word for each in asked for word in ("--report", each)), cwd=desk)
    assert ran == (0, MATCH, "")
    assert [case.outcome for case in junit((desk / "out/junit.xml").read_bytes())] == ["passed"]
    assert (desk / "again.xml").read_bytes().startswith(b"<?xml")
    assert sarif((desk / "ergo.sarif").read_bytes())["results"] == []
    assert gitlab((desk / "quality.json").read_bytes()) == []
    assert Page((desk / "result.html").read_bytes()).texts(".badge") == ["=match"]
    assert json.loads((desk / "report.json").read_text()) == ergo("replay", "--format", "json", cwd=desk).report


def test_a_file_has_what_standard_output_would_have(ergo: Ergo, desk: Path) -> None:
    ergo("diff", "captures/monday.json", "captures/monday.json", "--report", "sarif=a.sarif", cwd=desk)
    shown = ergo("diff", "captures/monday.json", "captures/monday.json", "--format", "sarif", cwd=desk).stdout
    assert (desk / "a.sarif").read_text() == shown
    ergo("validate", "ergo.toml", "--report", "gitlab=a.json", "--quiet", cwd=desk)
    assert gitlab((desk / "a.json").read_bytes()) == []


def test_one_that_cannot_be_written(ergo: Ergo, desk: Path) -> None:
    (desk / "folder").mkdir()
    ran = ergo("replay", "--report", "junit=folder", "--report", "sarif=ergo.sarif", cwd=desk)
    assert (ran.exit_code, ran.stdout) == (6, MATCH)
    assert ran.stderr == "error: cannot write 'folder': it is a folder\n  fix: name a plain file\n"
    assert sarif((desk / "ergo.sarif").read_bytes())["results"] == []
    report = ergo("replay", "--report", "junit=folder", "--format", "json", cwd=desk).report
    assert (report["outcome"], report["exit_code"], report["error"]["code"]) == ("failed", 6, "cli.report_write_failed")
    assert [bundle["outcome"] for bundle in report["bundles"]] == ["match"]
    shown = ergo("replay", "--report", "junit=folder", "--format", "junit", cwd=desk)
    assert [(case.name, case.outcome) for case in junit(shown.stdout)] == [
        ("captures/monday.json", "passed"),
        ("ergo replay", "error"),
    ]


def test_a_page_that_cannot_be_written(ergo: Ergo, desk: Path) -> None:
    (desk / "folder").mkdir()
    ran = ergo("replay", "--report", "html=folder", cwd=desk)
    assert (ran.exit_code, ran.stdout) == (6, MATCH)
    assert ran.stderr == "error: cannot write 'folder': it is a folder\n  fix: name a plain file\n"


@pytest.fixture
def without_jinja(tmp_path: Path) -> dict[str, str]:
    """An environment in which Jinja2 cannot be imported, as if it were not installed."""
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "sitecustomize.py").write_text("import sys\nsys.modules['jinja2'] = None\n")
    return {"PYTHONPATH": str(tmp_path / "hidden")}


def test_a_page_without_its_library(ergo: Ergo, desk: Path, without_jinja: dict[str, str]) -> None:
    """The verdict and the other reports are written all the same."""
    said = "error: an HTML report needs Jinja2, which is not installed\n  fix: pip install 'ergo-replay[html]'\n"
    asked = ("--report", "html=a.html", "--report", "junit=a.xml")
    assert ergo("replay", *asked, cwd=desk, **without_jinja) == (6, MATCH, said)
    assert junit((desk / "a.xml").read_bytes())
    assert not (desk / "a.html").exists()
    assert ergo("replay", "--format", "html", cwd=desk, **without_jinja) == (6, "", said)


def test_a_page_of_a_diff_and_of_a_validation(ergo: Ergo, desk: Path) -> None:
    bundle = "captures/monday.json"
    found = Page(ergo("diff", bundle, bundle, "--format", "html", cwd=desk).stdout)
    assert found.texts("h1") == [f"{bundle} → {bundle}"]
    (desk / "graphs/order_threshold.yaml").write_text("kind: cluster\n")
    ran = ergo("validate", "graphs/order_threshold.yaml", "ergo.toml", "--format", "html", cwd=desk)
    assert ran.exit_code == 3
    found = Page(ran.stdout)
    assert found.texts(".badge") == ["≠invalid"]
    assert found.texts("article h3 code") == ["graphs/order_threshold.yaml", "ergo.toml"]
    assert found.texts("article .what")


def test_a_page_of_a_folder_of_bundles_has_times_of_their_streams(ergo: Ergo, tmp_path: Path) -> None:
    home = tmp_path / "agent"
    shutil.copytree(FIXTURES / "agent", home)
    shutil.copy(home / "captures/tuesday.json", home / "captures/wednesday.json")
    code = home / "refunds/agent.py"
    code.write_text(code.read_text().replace("'decline'", "'reject'").replace('"decline"', '"reject"'))
    ran = ergo("replay", "captures", "--format", "html", "--jobs", "2", cwd=home)
    assert ran.exit_code == 1
    found = Page(ran.stdout)
    assert found.texts("td[data-name=bundle]") == ["captures/tuesday.json", "captures/wednesday.json"]
    streams = found.lines()[0]["streams"]
    assert [stream["bundle"] for stream in streams] == [0, 1]
    assert streams[0]["cells"][0]["begin"] == "09:00:00"


def test_a_full_disk_leaves_the_old_file(ergo: Ergo, desk: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    (desk / "old.xml").write_text("old")
    limit = ("bash", "-c", 'trap "" XFSZ; ulimit -f 0; exec "$@"', "limited")
    ran = ergo("replay", "--report", "junit=old.xml", cwd=desk, through=limit)
    assert (ran.exit_code, ran.stdout) == (6, MATCH)
    assert (desk / "old.xml").read_text() == "old"
    assert not [path for path in desk.iterdir() if path.suffix == ".tmp"]


@pytest.mark.parametrize(
    "path",
    ["captures/monday.json", "graphs/order_threshold.yaml", "adapters/order_desk.yaml", "ergo.toml", "link.json"],
)
def test_what_was_read_is_not_replaced(ergo: Ergo, desk: Path, path: str) -> None:
    os.link(desk / "captures/monday.json", desk / "link.json")
    before = (desk / path).read_bytes()
    ran = ergo("replay", "captures", "--report", f"junit={path}", cwd=desk)
    assert (ran.exit_code, ran.stdout) == (2, MATCH)
    assert ran.stderr.startswith(
        f"error: '{path}' is a file that the command has read: writing there would destroy it\n"
    )
    assert (desk / path).read_bytes() == before


@pytest.mark.parametrize("arguments", [("-p", "nobody"), ("--from", "2", "--until", "1"), ("hollow",)])
def test_a_command_that_fails_early_replaces_only_reports(ergo: Ergo, desk: Path, arguments: tuple[str, ...]) -> None:
    """What it would have read is not known then; a report of an earlier run must not stay green."""
    (desk / "hollow").mkdir()
    bundle = desk / "captures/monday.json"
    before = bundle.read_bytes()
    ergo("replay", "--report", "junit=junit.xml", cwd=desk)
    reports = ("--report", "junit=captures/monday.json", "--report", "junit=junit.xml")
    ran = ergo("replay", *arguments, *reports, cwd=desk)
    assert ran.exit_code == 2
    assert "'captures/monday.json' is no such report" in ran.stderr
    assert bundle.read_bytes() == before
    assert [case.outcome for case in junit((desk / "junit.xml").read_bytes())] == ["error"]


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "pipe", "/dev/null"])
def test_what_is_no_plain_file_is_not_replaced(ergo: Ergo, desk: Path, path: str) -> None:
    os.mkfifo(desk / "pipe")
    ran = ergo("replay", "--report", f"junit={path}", cwd=desk)
    assert (ran.exit_code, ran.stdout) == (6, MATCH)
    said = "it is a device or a pipe, and would be replaced by a file"
    assert ran.stderr == f"error: cannot write '{path}': {said}\n  fix: name a plain file\n"


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("path", ["out.txt", "link.txt", "/dev/{}"])
def test_a_stream_is_not_lost_with_the_file_that_it_goes_to(
    desk: Path, environment: dict[str, str], stream: str, path: str
) -> None:
    (desk / "link.txt").symlink_to("out.txt")
    path = path.format(stream)
    command = [str(Path(sys.executable).with_name("ergo")), "replay", "--report", f"junit={path}"]
    with (desk / "out.txt").open("wb") as out:
        other = {"stdout": "stderr", "stderr": "stdout"}[stream]
        streams = {stream: out, other: subprocess.PIPE}
        ran = subprocess.run(command, cwd=desk, env=environment, check=False, **streams)
    shown = (ran.stdout or ran.stderr).decode() + (desk / "out.txt").read_text()
    assert ran.returncode == 2
    assert MATCH in shown
    name = {"stdout": "standard output", "stderr": "standard error"}[stream]
    assert f"error: '{path}' is {name}: writing there would destroy what goes to it" in shown


def test_links_are_followed_and_folders_made(ergo: Ergo, desk: Path) -> None:
    (desk / "link.xml").symlink_to("new/real.xml")
    (desk / "bundle.xml").symlink_to("captures/monday.json")
    before = (desk / "captures/monday.json").read_bytes()
    ran = ergo("replay", "--report", "junit=link.xml", "--report", "junit=bundle.xml", cwd=desk)
    assert (ran.exit_code, ran.stdout) == (2, MATCH)
    assert "'bundle.xml' is a file that the command has read" in ran.stderr
    assert (desk / "link.xml").is_symlink()
    assert [case.outcome for case in junit((desk / "new/real.xml").read_bytes())] == ["passed"]
    assert (desk / "captures/monday.json").read_bytes() == before


def test_two_reports_in_one_file(ergo: Ergo, desk: Path) -> None:
    ran = ergo("replay", "--report", "junit=out", "--report", "sarif=./out", cwd=desk)
    assert (ran.exit_code, ran.stdout) == (2, MATCH)
    assert junit((desk / "out").read_bytes())


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("junit", "'junit' names no file: write junit=PATH"),
        ("junit=", "'junit=' names no file: write junit=PATH"),
        ("junit=-", "'junit=-' names no file: write junit=PATH, or --format junit"),
        ("text=a.txt", "'text' is not one of json, junit, sarif, github, gitlab"),
        ("xunit=a.xml", "'xunit' is not one of json, junit, sarif, github, gitlab"),
    ],
)
def test_a_report_that_is_no_format_and_file(ergo: Ergo, desk: Path, asked: str, said: str) -> None:
    ran = ergo("replay", "--report", asked, cwd=desk)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert said in ran.stderr


def test_a_format_that_does_not_exist(ergo: Ergo, desk: Path) -> None:
    ran = ergo("replay", "--format", "xunit", cwd=desk)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "'xunit' is not one of text, json, junit, sarif, github, gitlab" in ran.stderr
    assert ergo("run", "--format", "text", "--report", "junit=a.xml", cwd=desk).exit_code == 2


def test_the_summary_is_appended_for_a_file_too(ergo: Ergo, desk: Path) -> None:
    ran = ergo("replay", "--report", "github=log.txt", cwd=desk, GITHUB_STEP_SUMMARY=str(desk / "summary.md"))
    assert ran == (0, MATCH, "")
    assert (desk / "summary.md").read_text() == "### ergo replay: 1 passed\n\n"
    ran = ergo("replay", "--report", "junit=log.xml", cwd=desk, GITHUB_STEP_SUMMARY=str(desk / "other.md"))
    assert not (desk / "other.md").exists()


def test_a_summary_that_cannot_be_written(ergo: Ergo, desk: Path) -> None:
    ran = ergo("replay", "--report", "github=log.txt", cwd=desk, GITHUB_STEP_SUMMARY=str(desk))
    assert (ran.exit_code, ran.stdout) == (6, MATCH)
    assert "error: the summary could not be written to" in ran.stderr


def test_a_summary_goes_into_no_file_that_was_read(ergo: Ergo, desk: Path) -> None:
    bundle = desk / "captures" / "monday.json"
    before = bundle.read_bytes()
    ran = ergo("replay", "--format", "github", cwd=desk, GITHUB_STEP_SUMMARY=str(bundle))
    assert ran.exit_code == 2
    assert "a file that the command has read" in ran.stdout
    assert bundle.read_bytes() == before


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_summary_does_not_wait_for_the_reader_of_a_pipe(ergo: Ergo, desk: Path) -> None:
    os.mkfifo(desk / "pipe")
    ran = ergo("replay", "--report", "github=log.txt", cwd=desk, GITHUB_STEP_SUMMARY=str(desk / "pipe"))
    assert (ran.exit_code, ran.stdout) == (6, MATCH)
    assert "error: the summary could not be written to" in ran.stderr


def test_a_summary_that_is_full(ergo: Ergo, desk: Path) -> None:
    summary = desk / "summary.md"
    summary.write_bytes(b"." * 1_048_000)
    ran = ergo("replay", "--report", "github=log.txt", cwd=desk, GITHUB_STEP_SUMMARY=str(summary))
    assert (ran.exit_code, ran.stdout) == (0, MATCH)
    assert ran.stderr == "warning: the summary is left out: 'summary.md' is full\n"
    assert summary.stat().st_size == 1_048_000


@pytest.mark.parametrize(
    ("fixture", "bundle", "event", "part"),
    [
        ("order_threshold", "monday.json", "q-0910", "enter_level"),
        ("agent", "tuesday.json", None, None),
        ("settlement", "friday.json", None, None),
        ("orders", "morning.json", None, None),
    ],
)
def test_an_episode_of_every_kind_is_a_page(
    ergo: Ergo, tmp_path: Path, fixture: str, bundle: str, event: str | None, part: str | None
) -> None:
    project = shutil.copytree(FIXTURES / fixture, tmp_path / fixture)
    path = f"captures/{bundle}"
    first = json.loads((project / path).read_bytes())["events"][0]["event_id"]
    ran = ergo(
        "explain", path, "--event", event or first, "--report", "html=page.html", "--format", "json", cwd=project
    )
    assert ran.exit_code == 0, ran
    page = Page((project / "page.html").read_bytes())
    assert page.texts("h1") == [f"event {event or first}"]
    nodes = [node["path"] or node["id"] for node in ran.report["episode"]["nodes"]]
    assert page.texts("#episode td:first-child code") == nodes
    assert part is None or part in nodes
    assert ergo("explain", path, "--event", event or first, "--format", "html", cwd=project).stdout.startswith(
        "<!doctype"
    )


def test_an_episode_is_no_verdict_that_a_gate_reads(ergo: Ergo, desk: Path) -> None:
    words = ("explain", "captures/monday.json", "--event", "q-0910")
    for more in (("--format", "junit"), ("--report", "sarif=x.sarif")):
        ran = ergo(*words, *more, cwd=desk)
        assert ran.exit_code == 2
    before = (desk / "captures" / "monday.json").read_bytes()
    assert ergo(*words, "--report", "html=captures/monday.json", cwd=desk).exit_code == 2
    assert (desk / "captures" / "monday.json").read_bytes() == before
