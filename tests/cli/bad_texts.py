"""Texts that no command can use, each with the code that says so."""

from __future__ import annotations

import json

LINE = '{"kind":"event","event":{"type":"Command","id":"e1"}}\n'
DEEP = 10_000


def event(payload: str) -> bytes:
    """A line whose payload holds ``payload`` as its text."""
    return (LINE + f'{{"kind":"event","event":{{"type":"Command","payload":{{"a":{payload}}}}}}}\n').encode()


BAD_EVENTS = {
    "malformed": LINE.encode() + b'{"kind":',
    "no object": b"[1]\n",
    "wrong type": b'{"kind":"event","event":{"type":5}}\n',
    "unknown field": b'{"kind":"event","event":{"type":"Command","colour":"red"}}\n',
    "bad UTF-8": b'{"kind":"event","event":{"type":"Command","id":"\xff"}}\n',
    "UTF-16": LINE.encode("utf-16"),
    "zero bytes": b"\0" * 100,
    "half a character": b'{"kind":"event","event":{"type":"Command","id":"\\ud800"}}\n',
    "NaN": event("NaN"),
    "infinity": event("-Infinity"),
    "beyond the finite numbers": event("1e400"),
    "endless integer": event("9" * 5000),
    "nested payload": event("[" * DEEP + "]" * DEEP),
    "never closed": b"[" * 1_000_000,
    "line of 50 MB": b'{"kind":"event","event":{"type":"Command","id":"' + b"i" * 50_000_000 + b'"}}\n',
    "negative time": b'{"kind":"event","event":{"type":"Command","at":"-5s"}}\n',
    "endless time": b'{"kind":"event","event":{"type":"Command","at":"' + b"9" * 5000 + b's"}}\n',
    "type of a megabyte": json.dumps({"kind": "event", "event": {"type": "t" * 1_000_000}}).encode(),
    "nothing": b"",
}

_HEAD = "kind: cluster\nid: g\nversion: 0.1.0\noutputs: {}\n"


def graph(nodes: str, edges: str = "[]") -> str:
    """A graph of these nodes and edges."""
    return f"{_HEAD}edges: {edges}\nnodes: {nodes}\n"


_BOMB = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)
)

BAD_GRAPHS = {
    "nothing": ("", "DEC-SYNTAX"),
    "zero byte": ("\0", "DEC-SYNTAX"),
    "nested flow": (graph("[" * DEEP), "DEC-SYNTAX"),
    "nested block": ("".join(" " * n + "a:\n" for n in range(500)), "DEC-SYNTAX"),
    "alias bomb": (_BOMB + graph("*a9"), "DEC-SYNTAX"),
    "alias of itself": (graph("&x [*x]"), "DEC-SYNTAX"),
    "10 MB": ("# " + "x" * 10_000_000, "DEC-SYNTAX"),
    "tag": (graph('!!python/object/apply:os.system ["touch pwned"]'), "DEC-SYNTAX"),
    "two documents": (graph("{}") + "---\n" + graph("{}"), "DEC-SYNTAX"),
    "half a character": (graph('"\\ud800"'), "DEC-SYNTAX"),
    "key twice": (graph("{}") + "id: h\n", "DEC-DUP"),
    "wrong type": (graph("5"), "DEC-TYPE"),
    "no number": (graph("{a: {impl: const_number@0.1.0, params: {value: .nan}}}"), "DEC-PARAM"),
    "cluster nowhere": (graph("{a: {cluster: gone@0.1.0}}"), "DIS-NOT-FOUND"),
    "cluster outside": (graph("{a: {cluster: ../../etc/passwd@0.1.0}}"), "DEC-IDENT"),
    "unknown primitive": (graph("{a: {impl: nope@0.1.0}}"), "V.8"),
    "cycle": (graph("{a: {impl: not@0.1.0}}", "[a.result -> a.value]"), "V.1"),
    "wrong type of value": (
        graph("{a: {impl: const_number@0.1.0, params: {value: 1.0}}, b: {impl: not@0.1.0}}", "[a.value -> b.value]"),
        "V.4",
    ),
}

_PROJECT = 'name = "p"\nversion = "1"\n[profiles.default]\ngraph = "g.yaml"\n'

BAD_PROJECTS = {
    "broken": b"[[[",
    "bad UTF-8": b"\xff",
    "10 MB": b"# " + b"x" * 10_000_000,
    "nested values": b"a = " + b"[" * DEEP + b"]" * DEEP,
    "nested table": b"[a" + b".a" * 100_000 + b"]\n",
    "nested key": b"a" + b" . 'a'" * 100_000 + b" = 1\n",
    "endless integer": _PROJECT.encode() + b"max_retries = " + b"9" * 5000,
    "endless hexadecimal integer": _PROJECT.encode() + b"max_retries = 0x" + b"f" * 5000,
    "negative limit": _PROJECT.encode() + b"max_in_flight = -1\n",
    "infinite limit": _PROJECT.encode() + b"max_retries = inf\n",
    "bad duration": _PROJECT.encode() + b'deadline = "soon"\n',
    "key twice": _PROJECT.encode() + b'graph = "h.yaml"\n',
    "path with a zero byte": _PROJECT.replace("g.yaml", "a\\u0000b").encode(),
    "empty path": _PROJECT.replace("g.yaml", "").encode(),
    "profile with a zero byte": _PROJECT.replace("default", '"a\\u0000b"').encode(),
}
