"""Writes schemas/bundle-v3.schema.json and bundle-v4.schema.json, made from the records that ergo decodes bundles with.

After a change of these: ``python scripts/bundle_schemas.py``. A test holds the files equal to this.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from ergo_cli.bundle.record_forms import EventV3, EventV4, WireConstraints, WireDecision
from ergo_cli.bundle.schema import ProgramRecord, WireEntry
from ergo_cli.core.numbers import U64_MAX

FOLDER = Path(__file__).parents[1] / "schemas"
TEXT = {"type": "string"}
HEX = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
REQUIRED = ("capture_version", "graph_id", "config", "events", "decisions", "adapter_provenance", "runtime_provenance")
ARTIFACT = {
    "type": "object",
    "properties": {"json": {}, "base64": {"type": "string", "contentEncoding": "base64"}},
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
}


def schemas() -> dict[str, dict[str, Any]]:
    """The schemas by the names of their files."""
    v3 = bundle("v3", EventV3, [WireConstraints, WireDecision], {}, [])
    members = {
        "program": ref("ProgramRecord"),
        "journals": listed("WireEntry"),
        "artifacts": {"type": "object", "propertyNames": HEX, "additionalProperties": ARTIFACT},
        "digest": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
    }
    forms = [WireConstraints, WireDecision, ProgramRecord, WireEntry]
    v4 = bundle("v4", EventV4, forms, members, list(members))
    v4["$defs"]["WireEntry"]["properties"]["records"]["items"] = {"type": "object"}
    v4["$defs"]["WireEntry"]["properties"]["sha256"] = HEX
    v4["$defs"]["WireEntry"]["properties"]["episode_id"]["anyOf"][0] |= {"minimum": 0, "maximum": U64_MAX}
    return {"bundle-v3.schema.json": v3, "bundle-v4.schema.json": v4}


def bundle(
    version: str, event: type, forms: list[type], members: dict[str, Any], required: list[str]
) -> dict[str, Any]:
    """The schema of a bundle; it is closed at every depth, as ``ergo validate`` has it."""
    properties = {
        "capture_version": {"const": version},
        "graph_id": TEXT,
        "config": ref("WireConstraints"),
        "events": listed(event.__name__),
        "decisions": listed("WireDecision"),
        "adapter_provenance": TEXT,
        "runtime_provenance": TEXT,
        "egress_provenance": {"type": ["string", "null"]},
        **members,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"A capture bundle of ergo, {version}",
        "type": "object",
        "properties": properties,
        "required": [*REQUIRED, *required],
        "additionalProperties": False,
        "$defs": definitions([event, *forms]),
    }


def definitions(forms: list[type]) -> dict[str, Any]:
    """The records, as their structs have them, with the ranges that the decoder checks beside its structs."""
    _, found = msgspec.json.schema_components(forms, ref_template="#/$defs/{name}")
    known: dict[str, Any] = {name: bare(found[name]) for name in sorted(found)}
    known["Duration"]["properties"] = {
        "secs": {"type": "integer", "minimum": 0, "maximum": U64_MAX},
        "nanos": {"type": "integer", "minimum": 0, "maximum": 2**32 - 1},
    }
    known["Value"] |= {"minProperties": 1, "maxProperties": 1}
    known["EventKind"]["enum"].append("Tick")  # read as Pump, never written
    payload = known.get("EventV3", {}).get("properties", {}).get("payload")
    if payload is not None:
        payload["items"] = {"type": "integer", "minimum": 0, "maximum": 255}
    return known


def bare(schema: Any) -> Any:
    """A schema without the words of the code, and with the upper bound of every count."""
    if isinstance(schema, list):
        return [bare(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    kept = {name: bare(each) for name, each in schema.items() if name not in ("title", "description", "default")}
    return {**kept, "maximum": U64_MAX} if kept.get("minimum") == 0 else kept


def ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/$defs/{name}"}


def listed(name: str) -> dict[str, Any]:
    return {"type": "array", "items": ref(name)}


def text_of(schema: dict[str, Any]) -> str:
    """The content of a file."""
    return json.dumps(schema, indent=2) + "\n"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, schema in schemas().items():
        (FOLDER / name).write_text(text_of(schema), encoding="utf-8")
