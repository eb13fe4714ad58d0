"""HTML reports as a reader without a script takes them: parsed, with what a browser would fetch or obey."""

from __future__ import annotations

import json
import re
import zlib
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Any

from lxml import etree, html

_LOADING = ("src", "srcset", "href", "action", "data", "poster", "background", "formaction")


class Page:
    """A page that is well-formed, fetches nothing and obeys its own script alone."""

    def __init__(self, data: bytes | str) -> None:
        self.data = data.encode() if isinstance(data, str) else data
        assert self.data.startswith(b"<!doctype html><!-- ergo report -->\n")
        parser = html.HTMLParser(encoding="utf-8", huge_tree=True)
        self.root: Any = html.fromstring(self.data, parser=parser)
        self._check_isolation()

    def _check_isolation(self) -> None:
        """Nothing is fetched, no handler stands in an attribute, and the policy names what may run by its digest."""
        for element in self.root.iter(etree.Element):
            for name, value in element.attrib.items():
                assert not name.startswith("on"), f"a handler in <{element.tag}>"
                assert name != "style"
                assert name not in _LOADING or value.startswith("#"), f"{name}={value!r}"
        [script], [style] = self.root.iter("script"), self.root.iter("style")
        [policy] = self.root.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
        rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
        assert rules["default-src"] == "'none'"
        for of, element in (("script-src", script), ("style-src", style)):
            digest = b64encode(sha256(element.text.encode()).digest()).decode()
            assert rules[of] == f"'sha256-{digest}'"

    @property
    def text(self) -> str:
        """What is read without a script, blanks joined."""
        [main] = self.root.iter("main")
        return " ".join(" ".join(main.itertext()).split())

    @property
    def headings(self) -> list[str]:
        return [each.text_content() for each in self.root.iter("h2")]

    def texts(self, path: str) -> list[str]:
        """The texts of the elements that a CSS selector finds, blanks joined."""
        return [" ".join(each.text_content().split()) for each in self.root.cssselect(path)]

    def lines(self) -> list[dict[str, Any]]:
        """The data for the script: first what is about the whole, then the divergences."""
        found = re.search(rb'<template id="data">([A-Za-z0-9+/=]+)</template>', self.data)
        assert found is not None
        return [json.loads(line) for line in zlib.decompress(b64decode(found[1]), -15).splitlines()]
