"""Look for any of many texts in another, in time that does not grow with their number."""

from __future__ import annotations


class WordSearch:
    """Finds the texts that were added, each of at least ``least`` characters, or as words of their own alone."""

    def __init__(self, least: int) -> None:
        self._least = least
        self._by_beginning: dict[str, dict[int, dict[str, bool]]] = {}

    def add(self, text: str, *, is_word: bool) -> None:
        """Look for a text too; as a word if it ``is_word``: neither a letter nor a digit stands beside it."""
        by_length = self._by_beginning.setdefault(text[: self._least], {})
        by_length.setdefault(len(text), {})[text] = is_word

    def finds(self, text: str) -> bool:
        """Whether one of the texts stands in this one."""
        least, known = self._least, self._by_beginning
        if not known:
            return False
        for at in range(len(text) - least + 1):
            by_length = known.get(text[at : at + least])
            if by_length is not None and any(
                is_word is False or (is_word and _is_word(text, at, at + length))
                for length, forms in by_length.items()
                if (is_word := forms.get(text[at : at + length])) is not None
            ):
                return True
        return False


def _is_word(text: str, start: int, end: int) -> bool:
    return not (text[start - 1 : start].isalnum() or text[end : end + 1].isalnum())
