from __future__ import annotations

from ergo_cli.errors import ErgoError, headline, reason


def fault(code: str, *causes: ErgoError) -> ErgoError:
    return ErgoError(code, f"{code} is broken", causes=causes)


def test_the_first_of_several_is_the_headline_and_the_others_come_behind_its_own_causes() -> None:
    inner, first, second, third = map(fault, ("inner", "first", "second", "third"))
    first.causes = (inner,)
    assert headline([first, second, third]) is first
    assert first.causes == (inner, second, third)


def test_one_error_alone_is_its_own_headline() -> None:
    alone = fault("alone")
    assert headline(iter([alone])) is alone
    assert alone.causes == ()


def test_an_unfolded_error_stands_beside_its_causes() -> None:
    inner = fault("inner")
    outer = fault("outer", inner)
    assert outer.unfold() == (outer, inner)
    assert outer.causes == ()


def test_a_reason_has_neither_number_nor_path() -> None:
    assert reason(FileNotFoundError(2, "No such file or directory", "a.yaml")) == "No such file or directory"
    assert reason(OSError("it broke")) == "it broke"
    assert reason(ValueError("embedded null byte")) == "embedded null byte"
