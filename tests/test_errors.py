from __future__ import annotations

import ast
import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from ergo_cli.errors import ErgoError, exit_code, headline, reason

ROOT = Path(__file__).parents[1]
FAMILIES = (
    "accept|adapter|bisect|bundle|capture|cli|driver|egress|expect|fixture|graph|host|import|internal|journal|kernel|pipeline|plan|primitive|program"
    "|redact|replay|report"
)
CODE = re.compile(rf"({FAMILIES}|store|validate|watch)\.[a-z_]+")
NO_CODES = {"fixture.inspect", "fixture.validate", "report.merge", "cli.graphviz_"}
"""Names of commands, and a beginning of codes."""
FILES = re.compile(r".*\.(json|jsonl|yaml|py|toml)")


def codes() -> list[str]:
    """The codes that the package writes as texts of their own."""
    found: set[str] = set()
    modules = set((ROOT / "ergo_cli").rglob("*.py")) - {ROOT / "ergo_cli" / "__init__.py"}  # it names modules
    for file in modules:
        constants = (node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Constant))
        found |= {node.value for node in constants if isinstance(node.value, str) and CODE.fullmatch(node.value)}
    return sorted(code for code in found - NO_CODES if not FILES.fullmatch(code))


def documented(code: str) -> tuple[str, list[int]]:
    """The most specific pattern of the table of codes that covers this one, and its exit codes."""
    page = (ROOT / "docs" / "reports.md").read_text(encoding="utf-8").partition("\n## Codes\n")[2]
    rows = re.findall(r"^\| (.*?) \| (.*?) \| .* \|$", page, re.MULTILINE)
    found = [
        (pattern, [int(number) for number in re.findall(r"\d+", exits)])
        for patterns, exits in rows
        for pattern in re.findall(r"`([^`]+)`", patterns)
        if fnmatchcase(code, pattern)
    ]
    return max(found, key=lambda each: len(each[0].replace("*", "")), default=("", []))


@pytest.mark.parametrize("code", codes())
def test_a_code_is_documented_with_its_exit_code(code: str) -> None:
    pattern, exits = documented(code)
    assert exit_code(code) in exits, f"{code} ends with {exit_code(code)}, docs/reports.md has {pattern or 'no row'}"
    chapter = {
        "kernel": "kernel.md",
        "pipeline": "pipelines.md",
        "plan": "plans.md",
        "store": "runs.md",
        "cli": None,
    }.get(code.partition(".")[0], "reports.md")
    if chapter is not None:
        assert f"`{code}`" in (ROOT / "docs" / chapter).read_text(encoding="utf-8")


MAKERS = {
    "ErrorInfo",
    "_corrupt",
    "_refused",
    "invalid_input",
    "invalid_plan",
    "io_failed",
    "not_readable",
    "overlap",
    "storage_info",
}
"""What makes the errors of plans, with a code that lacks its family."""


def plan_codes() -> list[str]:
    """The codes that plans make, which are written without their family."""
    modules = (ROOT / "ergo_cli" / "programs" / "plan").glob("*.py")
    calls = [node for file in modules for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, ast.Call)]
    first = [call.args[0] for call in calls if call.args and ast.unparse(call.func) in MAKERS]
    return sorted({text.value for text in first if isinstance(text, ast.Constant) and isinstance(text.value, str)})


def test_the_codes_of_plans_are_documented() -> None:
    page = (ROOT / "docs" / "plans.md").read_text(encoding="utf-8")
    assert {"invalid_plan", "missing_fact", "artifact_missing"} <= set(plan_codes())
    assert [code for code in plan_codes() if f"`plan.{code}`" not in page] == []


def test_the_codes_are_found() -> None:
    assert {"program.unfit_function", "kernel.driver", "cli.usage", "internal.error"} <= set(codes())
    assert len(codes()) > 100


def fault(code: str, *causes: ErgoError) -> ErgoError:
    return ErgoError(code, f"{code} is broken", causes=causes)


def test_the_first_of_several_is_the_headline_and_the_others_come_behind_its_own_causes() -> None:
    inner, first, second, third = map(fault, ("inner", "first", "second", "third"))
    first.causes = (inner,)
    assert headline([first, second, third]) is first
    assert first.causes == (inner, second, third)


def test_one_error_alone_is_its_own_headline() -> None:
    alone = fault("alone")
    assert headline(iter([alone])) is alone
    assert alone.causes == ()


def test_an_unfolded_error_stands_beside_its_causes() -> None:
    inner = fault("inner")
    outer = fault("outer", inner)
    assert outer.unfold() == (outer, inner)
    assert outer.causes == ()


def test_a_reason_has_neither_number_nor_path() -> None:
    assert reason(FileNotFoundError(2, "No such file or directory", "a.yaml")) == "No such file or directory"
    assert reason(OSError("it broke")) == "it broke"
    assert reason(ValueError("embedded null byte")) == "embedded null byte"
