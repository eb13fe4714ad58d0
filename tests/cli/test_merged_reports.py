"""``ergo report merge``: the reports of all shards come to what one replay of all bundles comes to."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from collections.abc import Generator
from contextlib import chdir, redirect_stderr, redirect_stdout
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ergo_cli.cli.app import execute
from tests.cli.test_shards import DAYS, DESK, LATER, PAST, change, desk, expect, shard_of  # noqa: F401
from tests.conftest import Ergo, Ran
from tests.stories.test_stories import edited, story_of

FORMATS = ("json", "junit", "sarif", "gitlab", "github")


def replay_shards(ergo: Ergo, home: Path, count: int, *options: str) -> list[str]:
    """The names of the JSON reports of all shards."""
    for index in range(1, count + 1):
        ran = ergo("replay", *options, "--shard", f"{index}/{count}", "--report", f"json=s{index}.out", cwd=home)
        assert (home / f"s{index}.out").exists(), ran.stderr
    return [f"s{index}.out" for index in range(1, count + 1)]


def refused(ergo: Ergo, home: Path, *files: str) -> tuple[int, str]:
    """Exit code and error code of a merge that is refused, which must say what helps."""
    ran = ergo("report", "merge", *files, "--format", "json", cwd=home)
    error = ran.report["error"]
    assert (ran.report["command"], ran.report["bundles"]) == ("report.merge", [])
    assert error["message"]
    assert error["fix"]
    assert "Traceback" not in ran.stderr
    return ran.exit_code, error["code"]


STORIES = ("01_a_constant", "04_a_bug_in_an_own_primitive", "05_a_label_of_a_reducer", "08_what_a_state_writes")
MORE_STORIES = ("09_a_transform", "10_a_field_of_an_adapter", "12_a_setting_of_a_stage")


@pytest.mark.parametrize("name", [*STORIES, *MORE_STORIES])
def test_programs_of_every_kind_are_merged_to_the_same_screens(ergo: Ergo, tmp_path: Path, name: str) -> None:
    story = story_of(name)
    home = edited(ergo, story, tmp_path)
    again = shutil.copy(home / story.bundle, home / story.bundle.replace(".json", "-again.json"))
    options = (story.bundle, str(Path(again).relative_to(home)), *story.replay.options)
    files = replay_shards(ergo, home, 2, *options)
    for shown in ((), ("-v", "--list"), ("--format", "json")):
        whole = ergo("replay", *options, *shown, cwd=home)
        assert ergo("report", "merge", *files, *shown, cwd=home) == without_notes(whole)


def without_notes(whole: Ran) -> Ran:
    """What ``-v`` says of the program of each bundle is of the replay alone."""
    kept = [line for line in whole.stderr.splitlines(keepends=True) if not line.startswith("note: ")]
    return whole._replace(stderr="".join(kept))


def test_every_format_of_a_merge_is_that_of_the_whole_replay(ergo: Ergo, desk: Path) -> None:  # noqa: F811
    change(desk)
    (desk / "captures" / "bad.json").write_text("{")
    files = replay_shards(ergo, desk, 3, "captures")
    for form in FORMATS:
        whole = ergo("replay", "captures", "--format", form, cwd=desk)
        merged = ergo("report", "merge", *files, "--format", form, "--report", f"{form}=file.out", cwd=desk)
        times = re.compile(r' time="[0-9.]+"')
        assert (whole.exit_code, times.sub("", whole.stdout)) == (merged.exit_code, times.sub("", merged.stdout))
        assert (desk / "file.out").read_text() == merged.stdout


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Generator[Path]:
    """Recordings of the order strategy: before and after a change of it, and texts that are none."""
    home = shutil.copytree(DESK, tmp_path_factory.mktemp("pool") / "desk")
    shutil.rmtree(home / "captures")
    with patch.dict(os.environ, {"XDG_DATA_HOME": str(home / "data"), "COLUMNS": "120"}):
        run(home, "capture", "-o", "same.bundle.json")
        graph = home / "graphs" / "order_threshold.yaml"
        now = graph.read_text()
        graph.write_text(now.replace("value: 105.0", "value: 104.0"))
        run(home, "capture", "-o", "differs.bundle.json")
        graph.write_text(now)
        (home / "broken.bundle.json").write_text('{"capture_version":"v3"')
        yield home


def run(home: Path, *arguments: str) -> tuple[int, bytes, str]:
    """Exit code and streams of a command, run in this process."""
    output, errors = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    with chdir(home), redirect_stdout(output), redirect_stderr(errors):
        code = execute(list(arguments))
        output.flush()
    assert "Traceback" not in errors.getvalue()
    return code, output.buffer.getvalue(), errors.getvalue()  # type: ignore[attr-defined]


contents = st.sampled_from(["same", "differs", "broken"])
folders = st.dictionaries(st.integers(0, 30), contents, min_size=1, max_size=8)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    folders,
    st.integers(1, 4),
    st.sampled_from([(), ("--strict",), ("--ignore", "nothing")]),
    st.booleans(),
    st.randoms(),
)
def test_any_division_is_merged_to_the_report_of_the_whole(
    pool: Path,
    found: dict[int, str],
    count: int,
    options: tuple[str, ...],
    expects: bool,
    random: Random,
) -> None:
    with TemporaryDirectory(dir=pool) as place:
        bundles = Path(place).relative_to(pool) / "captures"
        (pool / bundles).mkdir()
        for number, content in found.items():
            shutil.copy(pool / f"{content}.bundle.json", pool / bundles / f"b{number}.json")
        toml = (pool / "ergo.toml").read_text()
        if expects:
            expect(pool, LATER, f"{bundles}/b*.json")
        try:
            files = [f"{place}/s{index}" for index in range(count)]
            for index, file in enumerate(files, 1):
                run(pool, "replay", str(bundles), *options, "--shard", f"{index}/{count}", "--report", f"json={file}")
            random.shuffle(files)
            for shown in (("--format", "json"), ("--format", "text"), ("--list",)):
                assert run(pool, "report", "merge", *files, *shown) == run(
                    pool, "replay", str(bundles), *options, *shown
                )
        finally:
            (pool / "ergo.toml").write_text(toml)


def test_an_expectation_that_no_shard_used_fails_the_whole(ergo: Ergo, desk: Path) -> None:  # noqa: F811
    expect(desk, LATER, "captures/*.json")
    files = replay_shards(ergo, desk, 3, "captures")
    ran = ergo("report", "merge", *files, "--format", "json", cwd=desk)
    assert (ran.exit_code, ran.report["error"]["code"]) == (1, "expect.nothing_matched")
    change(desk)
    files = replay_shards(ergo, desk, 3, "captures")
    ran = ergo("report", "merge", *files, "--format", "json", cwd=desk)
    assert (ran.exit_code, ran.report["expects"][0]["count"]) == (0, 10), "two differences in each of five bundles"
    assert "10 differences in 5 bundles" in ergo("report", "merge", *files, cwd=desk).stdout


def test_reports_are_merged_elsewhere_as_well(ergo: Ergo, desk: Path, tmp_path: Path) -> None:  # noqa: F811
    change(desk)
    expect(desk, LATER, "captures/*.json")
    replay_shards(ergo, desk, 2, "captures")
    other = tmp_path / "other"
    other.mkdir()
    shutil.move(desk / "s1.out", other)
    moved = shutil.copytree(desk, tmp_path / "moved")
    replay_shards(ergo, moved, 2, "captures")
    shutil.move(moved / "s2.out", other)
    whole = ergo("replay", "captures", "--format", "json", cwd=desk)
    merged = ergo("report", "merge", "s1.out", "s2.out", "--format", "json", cwd=other)
    assert (merged.exit_code, merged.stdout.replace(f"{desk}/", "")) == (whole.exit_code, whole.stdout)


def test_shards_that_selected_nothing_are_empty_together(ergo: Ergo, desk: Path) -> None:  # noqa: F811
    (desk / "none").mkdir()
    files = replay_shards(ergo, desk, 2, "none")
    assert ergo("report", "merge", *files, cwd=desk) == ergo("replay", "none", cwd=desk)


def test_every_shard_must_be_there_once(ergo: Ergo, desk: Path) -> None:  # noqa: F811
    first, second, third = replay_shards(ergo, desk, 3, "captures")
    assert refused(ergo, desk, first, third) == (3, "report.shard_missing")
    assert refused(ergo, desk, first, second, second, third) == (3, "report.shard_repeated")
    assert "2/3" in ergo("report", "merge", first, third, cwd=desk).stderr
    assert ergo("report", "merge", third, first, second, cwd=desk).exit_code == 0


def test_shards_of_different_replays_are_not_merged(ergo: Ergo, desk: Path) -> None:  # noqa: F811
    first, *_ = replay_shards(ergo, desk, 3, "captures")

    def second(*options: str, shard: str = "2/3") -> str:
        ergo("replay", *options, "--shard", shard, "--report", "json=other.out", cwd=desk)
        ergo("replay", *options, "--shard", "3/" + shard[-1], "--report", "json=third.out", cwd=desk)
        return "other.out"

    assert refused(ergo, desk, first, second("captures", "--strict"), "third.out")[1] == "report.shards_differ"
    assert refused(ergo, desk, first, second("captures", shard="2/4"))[1] == "report.shards_differ"
    assert refused(ergo, desk, first, second("captures", "--max-divergences", "3"))[1] == "report.shards_differ"
    change(desk)
    assert refused(ergo, desk, first, second("captures"), "third.out")[1] == "report.shards_differ", "another program"


def test_shards_of_as_many_other_bundles_are_not_merged(ergo: Ergo, desk: Path) -> None:  # noqa: F811
    first, second = replay_shards(ergo, desk, 2, "captures")
    mine = shard_of("monday.json", 2)
    names = (f"bundle{number}.json" for number in count())
    name = next(name for name in names if shard_of(name, 2) == mine)
    (desk / "captures" / "monday.json").rename(desk / "captures" / name)
    ergo("replay", "captures", "--shard", f"{3 - mine}/2", "--report", "json=other.out", cwd=desk)
    assert refused(ergo, desk, [first, second][mine - 1], "other.out")[1] == "report.shards_differ"


def test_shards_that_ignore_other_paths_are_not_merged(ergo: Ergo, desk: Path) -> None:  # noqa: F811
    first, _ = replay_shards(ergo, desk, 2, "captures")
    project = desk / "ergo.toml"
    project.write_text('ignore = ["**"]\n' + project.read_text())
    ergo("replay", "captures", "--shard", "2/2", "--report", "json=other.out", cwd=desk)
    assert refused(ergo, desk, first, "other.out")[1] == "report.shards_differ"


def test_a_bundle_is_in_one_report_alone(ergo: Ergo, desk: Path) -> None:  # noqa: F811
    first, second = replay_shards(ergo, desk, 2, "captures")
    document = json.loads((desk / first).read_bytes())
    assert len(document["bundles"]) > 0
    text = (desk / first).read_text()
    (desk / "again.out").write_text(text.replace('"shard":{"index":1,', '"shard":{"index":2,'))
    assert refused(ergo, desk, first, "again.out")[1] == "report.invalid"
    (desk / "captures" / "monday.json").rename(desk / "captures" / "sunday.json")
    mine = shard_of("sunday.json", 2)
    other = [first, second][2 - mine]
    ergo("replay", "captures", "--shard", f"{mine}/2", "--report", "json=other.out", cwd=desk)
    assert refused(ergo, desk, "other.out", other)[1] in ("report.shards_differ", "report.bundle_repeated")


def test_what_is_no_report_of_a_shard_is_refused(ergo: Ergo, desk: Path) -> None:  # noqa: F811
    [good] = replay_shards(ergo, desk, 1, "captures")
    text = (desk / good).read_text()
    ergo("replay", "captures", "--report", "json=whole.out", cwd=desk)
    ergo("replay", "-p", "nope", "--shard", "1/1", "--report", "json=failed.out", cwd=desk)
    assert refused(ergo, desk, "whole.out") == (3, "report.not_a_shard")
    assert refused(ergo, desk, "failed.out") == (3, "report.not_a_shard")
    assert refused(ergo, desk, "nothing.out") == (3, "report.read_failed")
    assert refused(ergo, desk, "captures") == (3, "report.read_failed")
    texts = {
        "report.invalid": [
            "",
            text[: len(text) // 2],
            "[" * 100_000,
            "<html>",
            "[]",
            '{"a":1}',
            text.replace("ergo.report/1", "other/1", 1),
            text.replace('"events":8', '"events":9'),
            text.replace('"index":1', '"index":7'),
        ],
        "report.version_mismatch": [text.replace("ergo.report/1", "ergo.report/2", 1)],
    }
    for code, every in texts.items():
        for each in every:
            (desk / "bad.out").write_text(each)
            assert refused(ergo, desk, "bad.out") == (3, code), each[:80]


def test_no_output_replaces_a_report_that_is_read(ergo: Ergo, desk: Path) -> None:  # noqa: F811
    [good] = replay_shards(ergo, desk, 1, "captures")
    before = (desk / good).read_bytes()
    ran = ergo("report", "merge", good, "--report", f"json={good}", cwd=desk)
    assert (ran.exit_code, (desk / good).read_bytes()) == (2, before)


def test_what_is_due_is_said_once(ergo: Ergo, desk: Path) -> None:  # noqa: F811
    change(desk)
    expect(desk, PAST, "captures/*.json")
    files = replay_shards(ergo, desk, 3, "captures")
    whole = ergo("replay", "captures", cwd=desk)
    assert whole.stderr.count(PAST) == 1
    assert ergo("report", "merge", *files, cwd=desk) == whole
    assert len(DAYS) == 5
