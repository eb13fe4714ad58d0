"""The chapters under ``docs/``, walked through: what they write is written, what they run is run.

A block whose introduction ends in ```name`:`` is that file; any other Python block is a program; of a console block
each line ``$ ergo …`` must succeed, and what stands below it is what it prints.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.conftest import Ergo

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
_BLOCK = re.compile(r"(?:`(?P<name>[\w/]+\.\w+)`:\n\n)?^```(?P<form>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ ergo (?P<line>.*)\n(?P<output>(?:(?!\$ ).*\n)*)", re.MULTILINE)

WALKS: dict[tuple[str, ...], str | None] = {
    ("events.md",): None,
    ("importing.md",): None,
    ("exporting.md",): "own_primitives",
    ("graphs.md",): "own_primitives",
    ("adapters.md",): None,
    ("bundles.md",): "own_primitives",
    ("channels.md",): "own_primitives",
    ("kernel.md", "runs.md"): None,
    ("pipelines.md",): "orders",
    ("plans.md",): None,
    ("projects.md",): None,
    ("recipes.md",): "order_threshold",
    ("ci-formats.md",): "order_threshold",
}
"""Chapters that are read one after the other, and the example that they begin with."""

ELSEWHERE = {"library.md"}
"""Chapters whose examples stand each by itself, and are run so."""


@pytest.mark.parametrize("pages", WALKS, ids=lambda pages: pages[0].removesuffix(".md"))
def test_a_chapter_can_be_walked_through(pages: Sequence[str], ergo: Ergo, tmp_path: Path) -> None:
    folder = tmp_path / "walk"
    example = WALKS[tuple(pages)]
    if example is None:
        folder.mkdir()
    else:
        shutil.copytree(ROOT / "fixtures" / example, folder)
    for block in blocks(pages):
        if block["name"]:
            (folder / block["name"]).write_text(block["text"], encoding="utf-8")
        elif block["form"] == "python":
            subprocess.run([sys.executable, "-c", block["text"]], cwd=folder, check=True, timeout=60)
        elif block["form"] == "console":
            succeed(ergo, folder, block["text"])


def succeed(ergo: Ergo, folder: Path, console: str) -> None:
    """Run the commands of a console block."""
    commands = list(_COMMAND.finditer(console))
    assert len(commands) == console.count("$ "), console
    for command in commands:
        ran = ergo(*shlex.split(command["line"]), cwd=folder)
        assert ran.exit_code == 0, f"{command['line']}\n{ran.stdout}{ran.stderr}"
        assert command["output"] in ("", ran.stdout)


def blocks(pages: Sequence[str]) -> Iterator[re.Match[str]]:
    """The blocks of chapters in order."""
    for page in pages:
        yield from _BLOCK.finditer((DOCS / page).read_text(encoding="utf-8"))


def test_no_example_is_left_out() -> None:
    walked = {page for pages in WALKS for page in pages}
    for page in {path.name for path in DOCS.glob("*.md")} - walked - ELSEWHERE:
        assert not [block["form"] for block in blocks([page]) if block["form"] in ("python", "console")], page


@pytest.mark.parametrize(
    ("number", "folder", "run_in"),
    [(0, ".", "."), (1, "desk", "."), (2, ".", "."), (3, ".", "."), (4, "desk", "desk")],
    ids=["hook", "hook in a folder", "program of then", "branches", "branches in a folder"],
)
@pytest.mark.parametrize("example", ["order_threshold", "own_primitives"])
def test_a_script_of_the_recipes_runs(
    number: int, folder: str, run_in: str, example: str, environment: dict[str, str], tmp_path: Path
) -> None:
    scripts = [block["text"] for block in blocks(["recipes.md"]) if block["form"] == "sh"]
    assert len(scripts) == 5
    script = scripts[number]
    home = tmp_path / "project"
    shutil.copytree(ROOT / "fixtures" / example, home / folder, ignore=shutil.ignore_patterns("__pycache__"))
    if example == "own_primitives":  # modules of the project are imported
        script = script.replace("monday", "prices")
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    first = [*author, "commit", "-qm", "first"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], first, ["switch", "-qc", "b"]):
        subprocess.run(["git", *command], cwd=home, env=environment, check=True)
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    shell = ["sh", "-e", "-c", script]
    ran = subprocess.run(shell, cwd=home / run_in, env={**environment, "PATH": path}, check=False)
    assert ran.returncode == 0


def test_the_program_of_then_names_what_changed_on_a_fresh_checkout(
    ergo: Ergo, environment: dict[str, str], tmp_path: Path
) -> None:
    home = tmp_path / "project"
    shutil.copytree(ROOT / "fixtures" / "order_threshold", home)
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for command in (["init", "-q", "-b", "main"], ["add", "."], [*author, "commit", "-qm", "first"]):
        subprocess.run(["git", *command], cwd=home, env=environment, check=True)
    graph = home / "graphs" / "order_threshold.yaml"
    graph.write_text(graph.read_text().replace("value: 105.0", "value: 104.0"))
    ran = ergo("replay", cwd=home)
    assert "what changed is not known" in ran.stderr
    assert "changed    " not in ran.stdout
    script = [block["text"] for block in blocks(["recipes.md"]) if block["form"] == "sh"][2]
    path = f"{Path(sys.executable).parent}:{environment['PATH']}"
    shell = subprocess.run(
        ["sh", "-c", script], cwd=home, env={**environment, "PATH": path}, capture_output=True, text=True, check=False
    )
    assert shell.returncode == 1
    assert "changed    graphs/order_threshold.yaml:20  enter_level.value  105.0 -> 104.0\n" in shell.stdout


def test_the_kernel_divergence_is_what_a_user_sees(ergo: Ergo, tmp_path: Path) -> None:
    (shown,) = re.findall(
        r"^```\n(differs  captures.*?)^```", (DOCS / "kernel.md").read_text(), re.MULTILINE | re.DOTALL
    )
    shutil.copytree(ROOT / "fixtures" / "agent", tmp_path / "agent")
    agent = tmp_path / "agent" / "refunds" / "agent.py"
    agent.write_text(agent.read_text().replace("How likely is it a fraud?", "Is it a fraud?"))
    ran = ergo("replay", cwd=tmp_path / "agent")
    assert ran.exit_code == 1
    assert shown in ran.stdout


def test_the_plan_divergence_is_what_a_user_sees(ergo: Ergo, tmp_path: Path) -> None:
    (shown,) = re.findall(
        r"^```\n(differs  captures.*?)^```", (DOCS / "plans.md").read_text(), re.MULTILINE | re.DOTALL
    )
    shutil.copytree(ROOT / "fixtures" / "settlement", tmp_path / "settlement")
    plan = tmp_path / "settlement" / "settlement" / "plan.py"
    plan.write_text(plan.read_text().replace('FEE = Decimal("0.002")', 'FEE = Decimal("0.003")'))
    ran = ergo("replay", cwd=tmp_path / "settlement")
    assert ran.exit_code == 1
    assert shown in ran.stdout


def test_the_pipeline_divergence_is_what_a_user_sees(ergo: Ergo, tmp_path: Path) -> None:
    (shown,) = re.findall(
        r"^```\n(differs  captures.*?)^```", (DOCS / "pipelines.md").read_text(), re.MULTILINE | re.DOTALL
    )
    shutil.copytree(ROOT / "fixtures" / "orders", tmp_path / "orders")
    flow = tmp_path / "orders" / "orders" / "pipeline.py"
    flow.write_text(flow.read_text().replace('article.payload["cents"] *', '(article.payload["cents"] - 1) *'))
    ran = ergo("replay", cwd=tmp_path / "orders")
    assert ran.exit_code == 1
    assert shown in ran.stdout


def test_the_chain_behind_the_plan_divergence_is_what_a_user_sees(ergo: Ergo, tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```\n(event f-0900.*?)^```", (DOCS / "plans.md").read_text(), re.MULTILINE | re.DOTALL)
    home = tmp_path / "settlement"
    shutil.copytree(ROOT / "fixtures" / "settlement", home)
    assert ergo("capture", cwd=home).exit_code == 0
    plan = home / "settlement" / "plan.py"
    plan.write_text(plan.read_text().replace('FEE = Decimal("0.002")', 'FEE = Decimal("0.003")'))
    assert ergo("why", "captures/friday.json", cwd=home).stdout == shown


def test_the_chain_behind_the_pipeline_divergence_is_what_a_user_sees(ergo: Ergo, tmp_path: Path) -> None:
    (shown,) = re.findall(r"^```\n(event m-0905.*?)^```", (DOCS / "pipelines.md").read_text(), re.MULTILINE | re.DOTALL)
    home = tmp_path / "orders"
    shutil.copytree(ROOT / "fixtures" / "orders", home)
    assert ergo("capture", cwd=home).exit_code == 0
    program = home / "orders" / "pipeline.py"
    program.write_text(program.read_text().replace('"cents": payload["cents"]}', '"cents": payload["cents"] + 1}'))
    assert ergo("why", "captures/morning.json", "m-0905", cwd=home).stdout == shown
