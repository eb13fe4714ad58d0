"""Semantic versions and the requirements that select among them (spec 20 §7.5, 10 §10)."""

from __future__ import annotations

import re
from enum import Enum

from msgspec import Struct

from ergo_cli.core.numbers import U64_MAX

_NUMBER = r"0|[1-9][0-9]*"
_PRE_PART = rf"(?:{_NUMBER}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)"
_PRE = rf"-({_PRE_PART}(?:\.{_PRE_PART})*)"
_BUILD = r"\+([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*)"
_VERSION = re.compile(rf"({_NUMBER})\.({_NUMBER})\.({_NUMBER})(?:{_PRE})?(?:{_BUILD})?")
_COMPARATOR = re.compile(
    rf" *(>=|<=|[<>=~^]|) *({_NUMBER})"
    rf"(?:\.(?:({_NUMBER})(?:\.(?:({_NUMBER})(?:{_PRE})?(?:{_BUILD})?|[*xX]))?|[*xX](?:\.[*xX])?))? *"
)
_ANYTHING = re.compile(r" *[*xX] *")
_WILDCARD = re.compile(r"[*xX]")
_DIGITS = re.compile(r"[0-9]+")

_Part = tuple[int, int, str, int]
_Numbers = tuple[int, ...]


class Version(Struct, frozen=True):
    """A strict semantic version.

    Order: the numbers, then the pre-release (lower than its release), then build metadata (higher than none).
    """

    major: int
    minor: int
    patch: int
    pre: str = ""
    build: str = ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """The version that ``text`` spells. Raises ValueError for anything but strict semver within 64 bits."""
        match = _VERSION.fullmatch(text)
        if match is None:
            raise ValueError(f"'{text}' is not a strict semantic version (MAJOR.MINOR.PATCH)")
        major, minor, patch = (_number(part) for part in match.groups()[:3])
        return cls(major, minor, patch, match[4] or "", match[5] or "")

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Major, minor and patch."""
        return self.major, self.minor, self.patch

    def __lt__(self, other: Version) -> bool:
        return self._order() < other._order()

    def __le__(self, other: Version) -> bool:
        return self._order() <= other._order()

    def __gt__(self, other: Version) -> bool:
        return self._order() > other._order()

    def __ge__(self, other: Version) -> bool:
        return self._order() >= other._order()

    def __str__(self) -> str:
        pre = f"-{self.pre}" if self.pre else ""
        build = f"+{self.build}" if self.build else ""
        return f"{self.major}.{self.minor}.{self.patch}{pre}{build}"

    def _order(self) -> tuple[_Numbers, tuple[bool, tuple[_Part, ...]], tuple[_Part, ...]]:
        return self.numbers, _pre_order(self.pre), _parts_order(self.build)


class Operator(Enum):
    """How a comparator compares."""

    CARET = "^"
    TILDE = "~"
    EXACT = "="
    GREATER = ">"
    AT_LEAST = ">="
    LESS = "<"
    AT_MOST = "<="


class Comparator(Struct, frozen=True):
    """One condition of a requirement; ``numbers`` holds the one to three numbers that were written."""

    operator: Operator
    numbers: tuple[int, ...]
    pre: str = ""

    def matches(self, version: Version) -> bool:
        """Whether the version satisfies this condition, the rule on pre-releases left aside."""
        match self.operator:
            case Operator.EXACT:
                return self._equals(version)
            case Operator.GREATER:
                return self._compare(version) > 0
            case Operator.AT_LEAST:
                return self._equals(version) or self._compare(version) > 0
            case Operator.LESS:
                return self._compare(version) < 0
            case Operator.AT_MOST:
                return self._equals(version) or self._compare(version) < 0
            case Operator.TILDE:
                return self._fixes(version, 2) and self._reaches(version)
            case Operator.CARET:
                return self._fixes(version, self._first_nonzero()) and self._reaches(version)

    def admits_pre_release_of(self, version: Version) -> bool:
        """Whether this names a pre-release of the same major, minor and patch."""
        return bool(self.pre) and self.numbers == version.numbers

    def _equals(self, version: Version) -> bool:
        return self._fixes(version, 3) and self.pre == version.pre

    def _fixes(self, version: Version, count: int) -> bool:
        fixed = self.numbers[:count]
        return version.numbers[: len(fixed)] == fixed

    def _reaches(self, version: Version) -> bool:
        partial = len(self.numbers) < 3
        return self._compare(version) >= 0 if not partial else version.numbers[: len(self.numbers)] >= self.numbers

    def _compare(self, version: Version) -> int:
        """-1, 0 or 1 as the version lies below, at or above; a partial comparator spans all that it begins."""
        written = version.numbers[: len(self.numbers)]
        if written != self.numbers:
            return 1 if written > self.numbers else -1
        if len(self.numbers) < 3 or version.pre == self.pre:
            return 0
        return 1 if _pre_order(version.pre) > _pre_order(self.pre) else -1

    def _first_nonzero(self) -> int:
        """How many leading numbers a caret fixes: up to the first that is not zero."""
        return next((index for index, number in enumerate(self.numbers, 1) if number), 3)


class Requirement(Struct, frozen=True):
    """A conjunction of comparators; none means any version. ``text`` is the requirement as written."""

    text: str
    comparators: tuple[Comparator, ...]

    @classmethod
    def parse(cls, text: str) -> Requirement:
        """The requirement that ``text`` spells. Raises ValueError outside the grammar of spec 20 §7.5."""
        if _ANYTHING.fullmatch(text):
            return cls(text, ())
        return cls(text, tuple(_comparator(part, text) for part in text.split(",")))

    def matches(self, version: Version) -> bool:
        """Whether the version satisfies every comparator; build metadata is ignored.

        A pre-release must also be admitted by a comparator that names one of the same major, minor and patch.
        """
        if not all(comparator.matches(version) for comparator in self.comparators):
            return False
        return not version.pre or any(comparator.admits_pre_release_of(version) for comparator in self.comparators)

    def __str__(self) -> str:
        return self.text


def parse_selector(text: str) -> Version | Requirement:
    """The exact version or the requirement that a reference asks for. Raises ValueError for neither."""
    try:
        return Version.parse(text)
    except ValueError:
        return Requirement.parse(text)


def _comparator(part: str, text: str) -> Comparator:
    match = _COMPARATOR.fullmatch(part)
    if match is None:
        raise ValueError(f"'{text}' is not a version requirement")
    written = [match[2], match[3], match[4]]
    numbers = tuple(_number(number) for number in written if number is not None)
    has_wildcard = len(numbers) < 3 and _WILDCARD.search(part) is not None
    operator = match[1] or ("=" if has_wildcard else "^")
    return Comparator(Operator(operator), numbers, match[5] or "")


def _number(text: str) -> int:
    if len(text) > 20 or int(text) > U64_MAX:
        raise ValueError(f"version number '{text[:40]}' does not fit 64 bits")
    return int(text)


def _pre_order(pre: str) -> tuple[bool, tuple[_Part, ...]]:
    return not pre, _parts_order(pre)


def _parts_order(text: str) -> tuple[_Part, ...]:
    return tuple(_part_order(part) for part in text.split(".")) if text else ()


def _part_order(part: str) -> _Part:
    """Digits before words; digits by value without converting them, words by ASCII."""
    if not _DIGITS.fullmatch(part):
        return 1, 0, part, 0
    significant = part.lstrip("0")
    return 0, len(significant), significant, len(part)
