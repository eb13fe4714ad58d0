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
_NO_PATH_BEFORE = r"(?<![\w./~-])"
_HASH = re.compile(r"(sha256:[0-9a-f]{8})[0-9a-f]{56}")
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
        if file is None or len(group) == 1:
            for index, finding in enumerate(group):
                if index:
                    yield Line()
                yield Line(f"error: {_headline(finding.error, verbose=verbose)}", Tone.BAD)
                yield from _below(finding, "  ", verbose=verbose)
        else:
            yield Line(f"error: {fitting(near(file))}  {len(group)} errors", Tone.BAD)
            for finding in group:
                yield Line(f"  {finding.position}  {_said(finding.error.message, verbose=verbose)}", Tone.BAD)
                yield from _below(finding, "    ", verbose=verbose)


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
    """``text`` with the beginnings of the hashes in it only."""
    return _HASH.sub(rf"\1{GAP}", text) if "sha256:" in text else text


def _said(text: str, *, verbose: bool) -> str:
    return fitting(near(text if verbose else without_hashes(text)))


def _headline(error: ErgoError, *, verbose: bool) -> str:
    place = f"{error.where}  " if _is_in_front(error) else ""
    return _said(place + error.message, verbose=verbose)


def _is_in_front(error: ErgoError) -> bool:
    """Whether the place stands before the message: one word, such as a file or a member, that the message lacks."""
    where = error.where
    return where is not None and where not in error.message and (" " not in where or _place(error) is not None)


def _is_said(detail: str, message: str) -> bool:
    """Whether a detail is a code and a message that the headline has too."""
    code, _, said = detail.partition(": ")
    return " " not in code and said != "" and said in message


def _is_repeated(where: str, message: str) -> bool:
    """Whether the message names what the place names: ``option --adapter``, ``node 'n3'``."""
    words = where.split(" ")
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
        if verbose or not (detail.startswith(_HASHES) or _is_said(detail, error.message)):
            yield Line(f"{margin}detail: {_said(detail, verbose=verbose)}", Tone.FAINT)
    for other in finding.others:
        place = "" if other.where is None else f"{other.where}: "
        code = f" ({other.code})" if verbose else ""
        yield Line(f"{margin}detail: {_said(place + other.message + code, verbose=verbose)}", Tone.FAINT)


def _findings(error: ErgoError) -> Iterator[_Finding]:
    """The error, then the errors behind it that have a place in a file; those without one stay with it."""
    further = list(_further(error, error))
    in_files = [each for each in further if _place(each) is not None]
    others = tuple(each for each in further if _place(each) is None)
    for each in (error, *in_files):
        place = _place(each)
        file, position = (None, None) if place is None else (place["file"], place["position"])
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
