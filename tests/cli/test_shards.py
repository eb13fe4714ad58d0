"""``ergo replay --shard I/N``: every bundle in one shard, by its file name, and no gate that is green over nothing."""

from __future__ import annotations

import shutil
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from ci_readers import github, gitlab, junit, sarif
from hypothesis import given
from hypothesis import strategies as st

from ergo_cli.core.shard import Shard
from ergo_cli.replay.selection import BundlePath, Refusal, Selection, select_bundles
from ergo_cli.replay.shards import of_shard
from tests.conftest import Ergo

DESK = Path(__file__).parents[2] / "fixtures" / "order_threshold"
DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday")
LATER, PAST = "2999-12-31", "2001-01-31"


def shard_of(name: str, count: int) -> int:
    """The shard of a bundle as the documentation defines it."""
    return int(sha256(name.encode()).hexdigest(), 16) % count + 1


@pytest.fixture
def desk(ergo: Ergo, tmp_path: Path) -> Path:
    """The order strategy with a bundle for each day."""
    home = shutil.copytree(DESK, tmp_path / "desk", ignore=shutil.ignore_patterns("__pycache__"))
    assert ergo("capture", cwd=home).exit_code == 0
    for day in DAYS[1:]:
        shutil.copy(home / "captures" / "monday.json", home / "captures" / f"{day}.json")
    return home


def change(desk: Path) -> None:
    """Let every bundle differ."""
    graph = desk / "graphs" / "order_threshold.yaml"
    graph.write_text(graph.read_text().replace("value: 105.0", "value: 104.0"))


def expect(desk: Path, until: str, bundle: str) -> None:
    with (desk / "ergo.toml").open("a") as file:
        file.write(f'\n[[expect]]\nuntil = {until}\nbundle = "{bundle}"\nwhy = "the desk enters earlier"\n')


@pytest.mark.parametrize("count", [1, 2, 3, 7])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_every_bundle_is_replayed_in_one_shard_by_its_name(ergo: Ergo, desk: Path, count: int, jobs: str) -> None:
    for index in range(1, count + 1):
        ran = ergo("replay", "captures", "--shard", f"{index}/{count}", "--jobs", jobs, "--format", "json", cwd=desk)
        names = sorted(f"captures/{day}.json" for day in DAYS if shard_of(f"{day}.json", count) == index)
        assert (ran.exit_code, [each["path"] for each in ran.report["bundles"]]) == (0, names)
        assert ran.report["shard"].items() >= {"index": index, "count": count, "selected": 5}.items()


names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8)
places = st.tuples(st.lists(names, max_size=2), names.filter(lambda name: name not in (".", "..")))


@given(st.lists(places, max_size=12), st.lists(places, max_size=3), st.integers(1, 9))
def test_shards_divide_any_selection(bundles: list[tuple[list[str], str]], refused: list, count: int) -> None:
    def paths(found: list[tuple[list[str], str]]) -> list[str]:
        return ["/".join((*folders, name)) for folders, name in found]

    error = ValueError("not read")
    whole = Selection(
        tuple(map(BundlePath, paths(bundles))),
        refusals=tuple(Refusal(path, error) for path in paths(refused)),  # pyright: ignore[reportArgumentType]
    )
    parts = [of_shard(whole, Shard(index, count)) for index in range(1, count + 1)]
    every = [*whole.bundles, *whole.refusals]
    taken = {
        place: (index, each)
        for index, part in enumerate(parts, 1)
        for place, each in zip(part.places, [*part.selection.bundles, *part.selection.refusals], strict=True)
    }
    assert {place: each for place, (_, each) in taken.items()} == dict(enumerate(every))
    assert sum(len(part.places) for part in parts) == len(every)
    named = [name for _, name in [*bundles, *refused]]
    assert [taken[place][0] for place in range(len(every))] == [shard_of(name, count) for name in named]
    assert {len(part.every) for part in parts} == {len(every)}


@given(st.sets(st.integers(0, 99), max_size=8), st.integers(0, 99), st.integers(1, 5))
def test_a_bundle_stays_in_its_shard_when_others_come(numbers: set[int], added: int, count: int) -> None:
    def shards(folder: Path) -> dict[str, int]:
        selection = select_bundles([str(folder)], None, None, strict=False)
        parts = {index: of_shard(selection, Shard(index, count)) for index in range(1, count + 1)}
        return {Path(each.path).name: index for index, part in parts.items() for each in part.selection.bundles}

    with TemporaryDirectory() as here:
        for number in numbers:
            (Path(here) / f"{number}.json").write_text("[")
        before = shards(Path(here))
        (Path(here) / f"{added}.json").write_text("[")
        after = shards(Path(here))
    assert before.items() <= after.items()
    assert after.keys() == {f"{number}.json" for number in {*numbers, added}}


def test_the_text_says_which_part_was_replayed(ergo: Ergo, desk: Path) -> None:
    texts = [ergo("replay", "captures", "--shard", f"{index}/3", cwd=desk) for index in (1, 2, 3)]
    assert [ran.exit_code for ran in texts] == [0, 0, 0]
    assert [ran.stdout for ran in texts] == [
        "match  captures/wednesday.json  8 events, 8 invoked\nshard 1/3: 1 of 5 bundles\n",
        "shard 2/3: none of 5 bundles\n",
        "match  4 bundles  32 events\nshard 3/3: 4 of 5 bundles\n",
    ]


def test_one_bundle_is_in_one_shard_however_it_is_named(ergo: Ergo, desk: Path) -> None:
    mine = shard_of("monday.json", 4)
    for named in ("captures/monday.json", "captures/mon*.json", desk / "captures" / "monday.json"):
        ran = ergo("replay", named, "--shard", f"{mine}/4", cwd=desk)
        assert ran.stdout.splitlines()[1:] == [f"shard {mine}/4: 1 of 1 bundle"]
        other = mine % 4 + 1
        ran = ergo("replay", named, "--shard", f"{other}/4", cwd=desk)
        assert (ran.exit_code, ran.stdout) == (0, f"shard {other}/4: none of 1 bundle\n")


def test_what_the_profiles_capture_to_is_divided_too(ergo: Ergo, desk: Path) -> None:
    mine = shard_of("monday.json", 2)
    ran = ergo("replay", "--shard", f"{mine}/2", cwd=desk)
    assert (ran.exit_code, ran.stdout.splitlines()[-1]) == (0, f"shard {mine}/2: 1 of 1 bundle")


def test_nothing_selected_is_an_error_in_every_shard(ergo: Ergo, desk: Path) -> None:
    (desk / "none").mkdir()
    for index in (1, 2):
        ran = ergo("replay", "none", "--shard", f"{index}/2", "--format", "json", cwd=desk)
        assert (ran.exit_code, ran.report["outcome"]) == (5, "empty")


def test_a_path_that_stands_for_no_bundle_is_refused_in_one_shard(ergo: Ergo, desk: Path) -> None:
    (desk / "none").mkdir()
    codes = [ergo("replay", "--strict", "captures", "none", "--shard", f"{index}/3", cwd=desk) for index in (1, 2, 3)]
    assert [ran.exit_code for ran in codes] == [5 if index == shard_of("none", 3) else 0 for index in (1, 2, 3)]


@pytest.mark.parametrize(
    "value", ["0/3", "4/3", "1/0", "x", "1", "1/", "/2", "-1/2", "1/2/3", "1/" + "9" * 5000, "²/3"]
)
def test_a_shard_that_does_not_exist_is_a_usage_error(ergo: Ergo, desk: Path, value: str) -> None:
    ran = ergo("replay", "captures", f"--shard={value}", "--format", "json", cwd=desk)
    assert (ran.exit_code, ran.report["error"]["code"]) == (2, "cli.invalid_option_value")
    assert ran.report["error"]["fix"]


def test_every_format_has_a_shard_without_bundles(ergo: Ergo, desk: Path) -> None:
    def replay(form: str) -> str:
        ran = ergo("replay", "captures", "--shard", "2/3", "--format", form, cwd=desk)
        assert (ran.exit_code, ran.stderr) == (0, "")
        return ran.stdout

    assert junit(replay("junit")) == []
    assert gitlab(replay("gitlab")) == []
    run = sarif(replay("sarif"))
    assert (run["results"], run["invocations"][0]["executionSuccessful"]) == ([], True)
    log = github(replay("github"))
    assert log.annotations == []
    assert "ergo replay, shard 2/3: no bundle" in log.lines


def test_what_is_expected_of_bundles_of_another_shard_fails_no_shard(ergo: Ergo, desk: Path) -> None:
    expect(desk, LATER, "captures/*.json")
    codes = [ergo("replay", "captures", "--shard", f"{index}/3", cwd=desk).exit_code for index in (1, 2, 3)]
    assert codes == [0, 0, 0], "each bundle could differ in another shard"
    assert ergo("replay", "captures", cwd=desk).exit_code == 1
    expect(desk, LATER, "captures/wednesday.json")
    codes = [ergo("replay", "captures", "--shard", f"{index}/3", cwd=desk).exit_code for index in (1, 2, 3)]
    assert codes == [1, 0, 0], "a shard that has all bundles of a table can say that nothing is as expected"


def test_what_is_due_fails_the_shards_that_have_a_bundle_of_it(ergo: Ergo, desk: Path) -> None:
    change(desk)
    expect(desk, LATER, "captures/*.json")
    assert ergo("replay", "captures", "--shard", "3/3", cwd=desk).exit_code == 0
    toml = desk / "ergo.toml"
    toml.write_text(toml.read_text().replace(LATER, PAST))
    codes = [ergo("replay", "captures", "--shard", f"{index}/3", cwd=desk).exit_code for index in (1, 2, 3)]
    assert codes == [1, 0, 1]
