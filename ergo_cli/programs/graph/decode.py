"""Decodes graph files: texts in, cluster definitions with places and notices out (spec 21 §4–6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from msgspec import Struct

from ergo_cli.core.documents import LimitError, Node
from ergo_cli.core.json_text import parse_json
from ergo_cli.core.notices import Notice
from ergo_cli.core.reading import STRUCTURAL_CODES, Reading
from ergo_cli.core.yaml_text import parse_yaml
from ergo_cli.errors import DocumentError
from ergo_cli.programs.graph.decode_cluster import ClusterDecoder
from ergo_cli.programs.graph.definition import ClusterDefinition

UNNAMED = "<memory>"
"""The label of a text that has no name."""


class Decoded(Struct, frozen=True):
    """A definition; ``places`` maps paths in it (``nodes.hot``, ``edges[3]``) to ``label:line:column``."""

    definition: ClusterDefinition
    places: Mapping[str, str]
    notices: tuple[Notice, ...]


def decode_graph_yaml(text: str, label: str = UNNAMED) -> Decoded:
    """The definition that a YAML text holds.

    Raises DocumentError (DEC-*) for the first fault, the other faults of the document in its ``causes``.
    """
    return _decode(text, label, "YAML", parse_yaml)


def decode_graph_json(text: str, label: str = UNNAMED) -> Decoded:
    """The definition that a JSON text holds. Raises as ``decode_graph_yaml``."""
    return _decode(text, label, "JSON", parse_json)


def decode_graph(text: str, label: str = UNNAMED) -> Decoded:
    """The definition that a YAML or JSON text holds: YAML is tried first (spec 21 §6.1).

    Raises the DocumentError that tells most; DEC-DUAL, with both readers' errors as causes, where it is neither.
    """
    try:
        return decode_graph_yaml(text, label)
    except DocumentError as yaml_error:
        try:
            return decode_graph_json(text, label)
        except DocumentError as json_error:
            raise _most_telling(text, label, yaml_error, json_error) from None


def _decode(text: str, label: str, language: str, parse: Callable[[str, str], Node]) -> Decoded:
    reading = Reading(label, shape=f"parse {language} '{label}': ", content=f"graph '{label}': ")
    decoder = ClusterDecoder(parse(text, label), reading)
    definition = decoder.decode()
    return Decoded(definition, decoder.places, tuple(reading.notices))


def _most_telling(text: str, label: str, yaml_error: DocumentError, json_error: DocumentError) -> DocumentError:
    looks_like_json = text.lstrip("\ufeff \t\r\n")[:1] in ("{", "[")
    errors = [json_error, yaml_error] if looks_like_json else [yaml_error, json_error]
    telling = [error for error in errors if error.code != "DEC-SYNTAX" or isinstance(error, LimitError)]
    if not telling:
        return _neither(label, errors)
    return min(telling, key=lambda error: not isinstance(error, LimitError) and error.code in STRUCTURAL_CODES)


def _neither(label: str, errors: list[DocumentError]) -> DocumentError:
    message = f"parse graph '{label}': expected valid YAML or JSON authoring content"
    fix = "write a cluster document as YAML or JSON"
    return DocumentError("DEC-DUAL", message, where=errors[0].where, fix=fix, causes=errors)
