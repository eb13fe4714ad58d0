"""What changed between two authored documents: each member that differs, by its path and line."""

from __future__ import annotations

from collections.abc import Iterator

from ergo_cli.core.document_parsers import parse_json, parse_yaml
from ergo_cli.core.documents import Mapping, Node, Scalar, Sequence
from ergo_cli.errors import DocumentError
from ergo_cli.programs.changes import Change, Layer, Verb

_LONGEST_VALUE = 40


def document_changes(before: str, after: str, file: str, layer: Layer) -> list[Change]:
    """The members that differ, in the order of today's text, then those that are gone.

    Items of a list are named by their member ``name`` where each has one. A text that cannot be read is one change.
    """
    old, new = _parsed(before, file), _parsed(after, file)
    if old is None or new is None:
        return [] if before == after else [Change(subject="the file", layer=layer, file=file)]
    was, now = dict(_leaves(old, "")), dict(_leaves(new, ""))
    changes = [
        Change(
            subject=path,
            verb=Verb.CHANGED if path in was else Verb.ADDED,
            layer=layer,
            before=_value(was[path]) if path in was else None,
            after=_value(leaf),
            file=file,
            line=leaf.mark.line,
        )
        for path, leaf in now.items()
        if path not in was or _text(was[path]) != _text(leaf)
    ]
    gone = [path for path in was if path not in now]
    changes += [
        Change(subject=path, verb=Verb.REMOVED, layer=layer, before=_value(was[path]), file=file) for path in gone
    ]
    if changes or before == after:
        return changes
    return [Change(subject="comments, blank lines or order only", layer=layer, file=file, idle=True)]


def _parsed(text: str, file: str) -> Node | None:
    try:
        return parse_json(text, file) if file.lower().endswith(".json") else parse_yaml(text, file)
    except DocumentError:
        return None


def _leaves(node: Node, path: str) -> Iterator[tuple[str, Node]]:
    """Scalars and empty collections by their paths: ``context_keys.price.type``, ``required[0]``."""
    match node:
        case Mapping(entries=entries) if entries:
            for key, value in entries:
                yield from _leaves(value, f"{path}.{key.text}" if path else key.text)
        case Sequence(items=items) if items:
            names = [_item_name(item) for item in items]
            are_named = None not in names and len(set(names)) == len(names)
            for index, item in enumerate(items):
                yield from _leaves(item, f"{path}.{names[index]}" if are_named else f"{path}[{index}]")
        case _:
            yield path, node


def _item_name(item: Node) -> str | None:
    entries = item.entries if isinstance(item, Mapping) else ()
    return next((value.text for key, value in entries if key.text == "name" and isinstance(value, Scalar)), None)


def _text(leaf: Node) -> tuple[str, bool]:
    """What two equal leaves share: their text, and whether it is a string by its quotes."""
    if isinstance(leaf, Scalar):
        return leaf.text, leaf.quoted
    return ("{}" if isinstance(leaf, Mapping) else "[]"), False


def _value(leaf: Node) -> str | None:
    """The value as it is written; None where it does not fit a line."""
    text, quoted = _text(leaf)
    return None if len(text) > _LONGEST_VALUE or "\n" in text else f'"{text}"' if quoted else text
