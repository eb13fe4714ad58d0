"""Versions and requirements: spec 20 §7.5 and, for the order, spec 10 §10."""

from __future__ import annotations

import itertools

import pytest

from ergo_cli.core.semver import Requirement, Version, parse_selector

ASCENDING = [
    "0.0.9",
    "0.1.0-alpha",
    "0.1.0-alpha.0",
    "0.1.0-alpha.1",
    "0.1.0-alpha.1+build",
    "0.1.0-alpha.1+build.1",
    "0.1.0-alpha.2",
    "0.1.0-alpha.10",
    "0.1.0-alpha.beta",
    "0.1.0-beta",
    "0.1.0",
    "0.1.0+1",
    "0.1.0+01",
    "0.1.0+10",
    "0.1.0+a",
    "0.2.0",
    "0.10.0",
    "9.9.9",
]


def test_versions_are_totally_ordered():
    versions = [Version.parse(text) for text in ASCENDING]
    assert sorted(sorted(versions, key=str)) == versions
    for lower, higher in itertools.combinations(versions, 2):
        assert lower < higher
        assert lower <= higher
        assert higher > lower
        assert higher >= lower
        assert lower != higher


@pytest.mark.parametrize("text", [*ASCENDING, "18446744073709551615.0.0", "1.0.0--", "1.0.0-0a.-1+001.-"])
def test_versions_print_as_they_were_written(text: str):
    assert str(Version.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "1", "1.2", "1.2.3.4", "v1.0.0", "01.2.3", "1.02.3", "1.2.03", " 1.2.3", "1.2.3 ", "1.2.3\n", "1.2.x"),
        *("1.2.3-", "1.2.3-01", "1.2.3-a..b", "1.2.3+", "1.2.3+a+b", "1.2.3-ä", "+1.2.3", "-1.2.3", "١.2.3"),
        *("18446744073709551616.0.0", "1.0." + "9" * 5000),
    ],
)
def test_what_is_no_version(text: str):
    with pytest.raises(ValueError):
        Version.parse(text)


@pytest.mark.parametrize(
    ("requirement", "matching", "others"),
    [
        ("1.2", "1.2.0 1.9.9", "1.1.9 2.0.0 0.9.0"),
        ("1.2.3", "1.2.3 1.3.0", "1.2.2 2.0.0"),
        ("^1.2.3", "1.2.3 1.9.0", "1.2.2 2.0.0"),
        ("^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3.0 1.2.3"),
        ("^0.0.3", "0.0.3", "0.0.2 0.0.4 0.1.0"),
        ("^0.0.0", "0.0.0", "0.0.1"),
        ("^0.0", "0.0.0 0.0.9", "0.1.0"),
        ("^0", "0.0.0 0.9.9", "1.0.0"),
        ("^1", "1.0.0 1.9.9", "0.9.9 2.0.0"),
        ("^0.2", "0.2.0 0.2.9", "0.1.9 0.3.0"),
        ("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0"),
        ("~1.2", "1.2.0 1.2.9", "1.1.9 1.3.0"),
        ("~1", "1.0.0 1.9.9", "0.9.9 2.0.0"),
        ("=1", "1.0.0 1.9.9", "2.0.0"),
        ("=1.2", "1.2.0 1.2.9", "1.3.0"),
        ("=1.2.3", "1.2.3", "1.2.4"),
        (">1", "2.0.0", "1.0.0 1.9.9"),
        (">1.2", "1.3.0 2.0.0", "1.2.0 1.2.9"),
        (">1.2.3", "1.2.4", "1.2.3"),
        (">=1", "1.0.0 2.0.0", "0.9.9"),
        (">=1.2", "1.2.0 9.0.0", "1.1.9"),
        ("<1.2", "1.1.9 0.0.1", "1.2.0"),
        ("<=1.2", "1.2.9 1.0.0", "1.3.0"),
        ("<=1.2.3", "1.2.3", "1.2.4"),
        ("*", "0.0.0 9.9.9", "1.0.0-a"),
        ("x", "1.0.0", "1.0.0-a"),
        ("X", "1.0.0", "1.0.0-a"),
        ("1.*", "1.0.0 1.9.9", "2.0.0"),
        ("1.x", "1.0.0 1.9.9", "0.9.0"),
        ("1.2.*", "1.2.0 1.2.9", "1.3.0 1.1.0"),
        ("1.*.*", "1.0.0 1.9.9", "2.0.0"),
        (">=1.*", "1.0.0 2.0.0", "0.9.9"),
        (">=1.2, <2", "1.2.0 1.9.9", "1.1.9 2.0.0"),
        (">=1.2,<2", "1.2.0", "2.0.0"),
        (" >= 1.2 , < 2 ", "1.2.0", "2.0.0"),
    ],
)
def test_requirements(requirement: str, matching: str, others: str):
    wanted = Requirement.parse(requirement)
    assert [text for text in matching.split() if not wanted.matches(Version.parse(text))] == []
    assert [text for text in others.split() if wanted.matches(Version.parse(text))] == []
    assert str(wanted) == requirement


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "latest", "v1.0.0", "1.2.3.4", "01.2", "1.*.3", "*, 1", "1, *", ">=1 <2", "1 || 2", "^1.2-beta"),
        *("1,", ",1", "=>1", "!1", "1.2.3-", "1.2.3-01", "1.-1", "^", ">=*", "1.", "1.2.", "18446744073709551616"),
        *("\t1", "1\n"),
    ],
)
def test_what_is_no_requirement(text: str):
    with pytest.raises(ValueError):
        Requirement.parse(text)


@pytest.mark.parametrize(
    ("requirement", "version", "matches"),
    [
        (">=1.0.0-alpha", "1.0.0-alpha", True),
        (">=1.0.0-alpha", "1.0.0-beta", True),
        (">=1.0.0-alpha", "1.0.0", True),
        (">=1.0.0-alpha", "2.0.0", True),
        (">=1.0.0-alpha", "1.2.3-alpha", False),
        ("1.2", "1.2.3-alpha", False),
        ("^1.2.3-beta", "1.2.3-alpha", False),
        ("^1.2.3-beta", "1.2.3-rc", True),
        ("~1.2.3-beta", "1.2.4", True),
        ("=1.2.3-beta", "1.2.3-beta", True),
        ("=1.2.3-beta", "1.2.3", False),
        ("<1.0.0", "1.0.0-alpha", False),
        ("<1.0.0-beta", "1.0.0-alpha", True),
        (">1.0.0-alpha", "1.0.0-alpha.1", True),
    ],
)
def test_pre_releases_match_only_beside_one_that_is_named(requirement: str, version: str, matches: bool):
    assert Requirement.parse(requirement).matches(Version.parse(version)) is matches


@pytest.mark.parametrize(
    ("requirement", "version"), [("=1.2.3", "1.2.3+b5"), ("=1.2.3+a", "1.2.3+b"), ("^1", "1.0.0+x")]
)
def test_build_metadata_is_ignored_in_matching(requirement: str, version: str):
    assert Requirement.parse(requirement).matches(Version.parse(version))


def test_build_metadata_counts_for_exact_equality():
    assert Version.parse("1.2.3+a") != Version.parse("1.2.3+b")


def test_a_strict_version_is_an_exact_selector_and_anything_else_a_requirement():
    assert parse_selector("1.2.3") == Version(1, 2, 3)
    assert isinstance(parse_selector("1.2"), Requirement)
    assert isinstance(parse_selector(" 1.2.3"), Requirement)
    with pytest.raises(ValueError):
        parse_selector("latest")


def test_c20_34_caret_one_takes_the_highest_below_two():
    available = [Version.parse(text) for text in ("1.0.0", "1.2.0", "1.3.0", "2.0.0")]
    wanted = Requirement.parse("^1.0")
    assert str(max(version for version in available if wanted.matches(version))) == "1.3.0"
    assert str(wanted) == "^1.0"
