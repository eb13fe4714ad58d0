"""Read a bundle with the standard library alone, and check what can be checked without its program.

    python read_bundle.py BUNDLE.json

Prints a line for each decision; a bundle that was changed after its capture ends with exit code 1, what is no bundle
with 2. All hashes are over texts that stand in the bundle, so that no number is ever rendered. docs/bundle-format.md
says what the members mean.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
from base64 import b64decode
from collections.abc import Iterator
from hashlib import sha256

BLANKS = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')
scan = json.JSONDecoder().raw_decode


def compact(text: str) -> str:
    """A JSON text without white space outside of strings."""
    return BLANKS.sub(lambda found: found[1] or "", text)


def members(text: str) -> Iterator[tuple[str, str]]:
    """The names of an object's members, and their texts."""
    at = 1
    while text[at] != "}":
        name, colon = scan(text, at)
        _, end = scan(text, colon + 1)
        yield name, text[colon + 1 : end]
        at = end + (text[end] == ",")


def items(text: str) -> Iterator[str]:
    """The texts of an array's items."""
    at = 1
    while text[at] != "]":
        _, end = scan(text, at)
        yield text[at:end]
        at = end + (text[end] == ",")


def digest(text: str | bytes) -> str:
    """Lower-case hex SHA-256."""
    return sha256(text.encode() if isinstance(text, str) else text).hexdigest()


def payload_of(event: dict) -> bytes:
    """The payload of an event: a list of byte values in v3, a text in v4."""
    payload = event["payload"]
    return payload.encode() if isinstance(payload, str) else bytes(payload)


def faults(text: str) -> Iterator[str]:
    """What is wrong with the text of a bundle."""
    whole = compact(text)
    top = dict(members(whole))
    if json.loads(top["capture_version"]) not in ("v3", "v4"):
        yield "capture_version is neither v3 nor v4"
    events = [json.loads(event) for event in items(top["events"])]
    decisions = [dict(members(decision)) for decision in items(top["decisions"])]
    if [event["event_id"] for event in events] != [json.loads(decision["event_id"]) for decision in decisions]:
        yield "events and decisions do not belong together"
    for event in events:
        if digest(payload_of(event)) != event["payload_hash"]:
            yield f"the payload of {event['event_id']} was changed"
    for seq, decision in enumerate(decisions):
        for captured in map(dict, map(members, items(decision["effects"]))):
            if digest(captured["effect"]) != json.loads(captured["effect_hash"]):
                yield f"an effect of decision {seq} was changed"
    if "digest" in top:
        yield from faults_of_v4(whole, top)


def faults_of_v4(whole: str, top: dict[str, str]) -> Iterator[str]:
    """What is wrong with the members that only v4 has."""
    covered = whole[: whole.rindex(',"digest":')]
    if "sha256:" + digest(covered) != json.loads(top["digest"]):
        yield "the digest is that of another text"
    for source in json.loads(top["program"]).get("sources", []):
        if digest(source["text"]) != source["sha256"]:
            yield f"the source {source['path']} was changed"
    for entry in map(dict, map(members, items(top["journals"]))):
        if digest("".join(record + "\n" for record in items(entry["records"]))) != json.loads(entry["sha256"]):
            yield f"the journal of run {entry['run_id']} was changed"
    for name, artifact in members(top["artifacts"]):
        [(form, value)] = members(artifact)
        if digest(value if form == "json" else b64decode(json.loads(value))) != name:
            yield f"the artifact {name} was changed"


def main(path: str) -> int:
    """Print the decisions of a bundle, or what is wrong with it."""
    with gzip.open(path, "rt", encoding="utf-8") if path.endswith(".gz") else open(path, encoding="utf-8") as file:
        text = file.read()
    found = list(faults(text))
    for fault in found:
        print(fault, file=sys.stderr)
    for decision in json.loads(text)["decisions"]:
        kinds = [captured["effect"]["kind"] for captured in decision["effects"]]
        print(decision["event_id"], decision["decision"], json.dumps(decision.get("termination")), *kinds)
    return 1 if found else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python read_bundle.py BUNDLE.json", file=sys.stderr)
        sys.exit(2)
    try:
        code = main(sys.argv[1])
        sys.stdout.flush()
        sys.exit(code)
    except BrokenPipeError:  # such as by `| head`
        os._exit(0)
    except (OSError, EOFError, ValueError, LookupError, TypeError, AttributeError) as error:
        print(f"{sys.argv[1]} cannot be read as a bundle (.json or .json.gz): {error!r}", file=sys.stderr)
        sys.exit(2)
