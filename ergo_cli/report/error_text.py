"""Errors as text: one line of what, one of remedy; codes, rules and hashes where more was asked for (spec 70 §9)."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import groupby

from msgspec import Struct

from ergo_cli.errors import ErgoError
from ergo_cli.report.text import GAP, Line, Tone, printable, shorten

_LONGEST = 2000
_PLACE = re.compile(r"(?P<file>.+?):(?P<position>\d+(:\d+)?)")
_PART = re.compile(r"(?P<file>[^\s'\"]+?):\d+(:\d+)? .+")
"""A part of a file, with its line: ``g.yaml:7:3 edges[0]``."""
_NO_PATH_BEFORE = r"(?<![\w./~-])"
_HASH = re.compile(r"(sha256:[0-9a-f]{8})[0-9a-f]{56}")
_SIDES = re.compile(r": recorded '[^']*sha256:[^']*', current '[^']*sha256:[^']*'")
_HASHES = ("expected: ", "got: ")
"""The details of a refusal that hold the hashes of both sides."""


class _Finding(Struct, frozen=True):
    """One error of a list; ``file`` and ``position`` are those of its place, None where that is no line of a file.

    ``others`` are the further errors behind it that have no place in a file.
    """

    error: ErgoError
    file: str | None
    position: str | None
    others: tuple[ErgoError, ...]


def error_lines(errors: Iterable[ErgoError], *, verbose: bool) -> Iterator[Line]:
    """The lines of errors: a file with several of them is named once, its errors stand below."""
    findings = [finding for error in errors for finding in _findings(error)]
    for number, (file, grouped) in enumerate(groupby(findings, lambda finding: finding.file)):
        if number:
            yield Line()
        group = list(grouped)
        is_listed = file is not None and len(group) > 1
        if is_listed:
            yield Line(f"error: {fitting(near(file or ''))}  {len(group)} errors", Tone.BAD)
        for index, (below, alike) in enumerate(_of_one_remedy(group, "    " if is_listed else "  ", verbose=verbose)):
            if index and not is_listed:
                yield Line()
            for finding in alike:
                line = f"error: {_headline(finding.error, verbose=verbose)}"
                if is_listed:
                    line = f"  {finding.position}  {_said(_message(finding.error), verbose=verbose)}"
                yield Line(line, Tone.BAD)
            yield from below


def _of_one_remedy(
    group: Iterable[_Finding], margin: str, *, verbose: bool
) -> Iterator[tuple[list[Line], list[_Finding]]]:
    """The lines below errors, and the errors that follow one another and have them: the same is said once."""
    pairs = ((list(_below(finding, margin, verbose=verbose)), finding) for finding in group)
    for below, alike in groupby(pairs, lambda pair: pair[0]):
        yield below, [finding for _, finding in alike]


def fitting(text: str) -> str:
    """``text`` as one printable line; the middle of a long one is left out."""
    return printable(shorten(text, _LONGEST))


def near(text: str) -> str:
    """``text`` with all paths below the current folder relative to it."""
    try:
        here = os.getcwd()
    except OSError:
        return text
    if here == os.sep or here not in text:
        return text
    return re.sub(_NO_PATH_BEFORE + re.escape(here + os.sep), "", text)


def without_hashes(text: str) -> str:
    """``text`` without the hashes of two sides, and with the beginnings of other hashes in it only."""
    return _HASH.sub(rf"\1{GAP}", _SIDES.sub("", text)) if "sha256:" in text else text


def _said(text: str, *, verbose: bool) -> str:
    return fitting(near(text if verbose else without_hashes(text)))


def _headline(error: ErgoError, *, verbose: bool) -> str:
    """The message with the place in front; where the message names the file, its position stands there."""
    message, file = _message(error), _file(error)
    if file is not None and f"'{file}'" in message:
        return _said(message.replace(f"'{file}'", f"'{error.where}'", 1), verbose=verbose)
    place = f"{error.where}  " if _is_in_front(error) else ""
    return _said(place + message, verbose=verbose)


def _message(error: ErgoError) -> str:
    """The message without a naming of the file that its place names: ``graph 'g.yaml': …``."""
    file = _file(error)
    return (
        error.message
        if file is None
        else re.sub(rf"(\b(parse )?\w{{1,20}} )?'{re.escape(file)}': ", "", error.message, count=1)
    )


def _file(error: ErgoError) -> str | None:
    """The file of the error's place, None where that is no line of a file."""
    place = _place(error) or (None if error.where is None else _PART.fullmatch(error.where))
    return None if place is None else place["file"]


def _is_in_front(error: ErgoError) -> bool:
    """Whether the place stands before the message: one word, such as a file or a member, that the message lacks."""
    where = error.where
    return where is not None and where not in error.message and (" " not in where or _file(error) is not None)


def _unsaid(detail: str, error: ErgoError, *, verbose: bool) -> str | None:
    """What a detail says beyond the message; None where it is a side, or a cause that the message repeats.

    Where more is asked for, the code is kept, and a side unless the message names both.
    """
    if detail.startswith(_HASHES):
        return detail if verbose and not _names_sides(error) else None
    for cause in error.causes:
        if detail == f"{cause.code}: {cause.message}" and cause.message in error.message:
            return cause.code if verbose else None
    return detail


def _names_sides(error: ErgoError) -> bool:
    sides = [detail.partition(": ")[2] for detail in error.details if detail.startswith(_HASHES)]
    return len(sides) == len(_HASHES) and all(side in error.message for side in sides)


def _is_repeated(where: str, message: str) -> bool:
    """Whether the message names what the place names: ``option --adapter``, ``node 'n3'``."""
    words = where.split(" ")
    if len(words) == 2 and not words[0].isalpha() and words[0] not in message:
        return False  # a member of a file that is not named
    return len(words) <= 2 and re.search(rf"(?<!\w){re.escape(words[-1].strip(chr(39)))}(?!\w)", message) is not None


def _below(finding: _Finding, margin: str, *, verbose: bool) -> Iterator[Line]:
    error = finding.error
    where = None if finding.position is not None or _is_in_front(error) else error.where
    if where is not None and (verbose or not _is_repeated(where, error.message)):
        yield Line(f"{margin}where: {_said(where, verbose=verbose)}")
    if error.fix is not None:
        yield Line(f"{margin}fix: {fitting(near(error.fix))}")
    if verbose:
        yield Line(f"{margin}code: {error.code}", Tone.FAINT)
    if verbose and error.rule is not None:
        yield Line(f"{margin}rule: {error.rule}", Tone.FAINT)
    for detail in error.details:
        text = _unsaid(detail, error, verbose=verbose)
        if text is not None:
            yield Line(f"{margin}detail: {_said(text, verbose=verbose)}", Tone.FAINT)
    for other in finding.others:
        place = "" if other.where is None else f"{other.where}: "
        code = f" ({other.code})" if verbose else ""
        yield Line(f"{margin}detail: {_said(place + _message(other) + code, verbose=verbose)}", Tone.FAINT)


def _findings(error: ErgoError) -> Iterator[_Finding]:
    """The error, then the errors behind it that have a place in a file; those without one stay with it."""
    further = list(_further(error, error))
    in_files = [each for each in further if _place(each) is not None]
    others = tuple(each for each in further if _place(each) is None)
    for each in (error, *in_files):
        place = _place(each)
        file, position = (None, None) if place is None else place.group("file", "position")
        yield _Finding(each, file, position, others if each is error else ())


def _place(error: ErgoError) -> re.Match[str] | None:
    return None if error.where is None else _PLACE.fullmatch(error.where)


def _further(error: ErgoError, headline: ErgoError) -> Iterator[ErgoError]:
    """The errors behind ``error``, without those that only repeat the headline."""
    for cause in error.causes:
        is_repeated = any(cause.message in text for text in (headline.message, *headline.details))
        if not is_repeated or (cause.where is not None and cause.where != headline.where):
            yield cause
        yield from _further(cause, headline)
