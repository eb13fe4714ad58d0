from __future__ import annotations

import pytest
from msgspec import Struct

from ergo_cli.core.json import JsonError, canonical, check_nesting, decode, record_opening, template_pieces
from ergo_cli.core.numbers import Numbers


def nested(depth: int) -> bytes:
    return b'{"a":' * (depth // 2) + b"[" * (depth - depth // 2) + b"]" * (depth - depth // 2) + b"}" * (depth // 2)


@pytest.mark.parametrize("numbers", Numbers)
def test_nesting_of_127_is_read_and_of_128_refused(numbers: Numbers):
    assert decode(nested(127), numbers)
    with pytest.raises(JsonError, match="nesting deeper than 127 levels"):
        decode(nested(128), numbers)


def test_brackets_in_strings_do_not_nest():
    text = b'["' + b"[{" * 200 + b'\\""]'
    assert decode(text) == ["[{" * 200 + '"']


def test_siblings_do_not_nest():
    text = b"[" + b"[],{}," * 200 + b"1]"
    check_nesting(text)
    assert len(decode(text)) == 401


def test_ten_thousand_levels_are_refused_where_the_limit_is_crossed():
    with pytest.raises(JsonError) as refused:
        decode(b"[" * 10_000 + b"]" * 10_000)
    assert refused.value.offset == 127


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        (b"", "unexpected end", 0),
        (b'{"a":1', "unexpected end", 6),
        (b'{"a":1} x', "trailing characters", 8),
        (b"{a:1}", "key must be a string", 1),
        (b"[1,]", "trailing comma", 3),
        (b"[NaN]", "invalid character", 1),
        (b"[Infinity]", "invalid character", 1),
        (b"[+1]", "invalid character", 1),
        (b"[01]", "invalid number", 2),
        (b"[1.]", "invalid number", 3),
        (b"[.5]", "invalid character", 1),
        (b"[1] // one", "trailing characters", 4),
        (b'["\x01"]', "invalid character", 2),
        (b"\xef\xbb\xbf[]", "invalid character", 0),
        (b"\x0c[]", "invalid character", 0),
        (b'["\xc3\xa9\xff"]', "invalid UTF-8", 4),
        (b'["\\ud800"]', "lone surrogate", 2),
        (b'["\\udc00 and more"]', "lone surrogate", 2),
        (b'["\\\\ud800", "\\ud83d\\ude00", "\\ud83d\\u0041"]', "lone surrogate", 29),
        (b'["1e400", 1e400]', "number out of range", 10),
        (b"[1," + b"9" * 400 + b"]", "number out of range", 3),
        (b"[1," + b"9" * 5000 + b"]", "number out of range", 3),
    ],
)
@pytest.mark.parametrize("numbers", Numbers)
def test_what_is_no_json_says_what_and_where(text: bytes, message: str, offset: int, numbers: Numbers):
    with pytest.raises(JsonError, match=message) as refused:
        decode(text, numbers)
    assert refused.value.offset == offset


def test_the_original_profile_stays_strict_behind_a_number_that_only_it_can_read():
    """What exact reading refuses as out of range must not open a lenient way in."""
    with pytest.raises(JsonError):
        decode(b"[1.7976931348623159e308, NaN]", Numbers.ORIGINAL)


def test_the_last_of_repeated_members_wins():
    assert decode(b'{"a":1,"b":2,"a":{"c":3,"c":4}}') == {"a": {"c": 4}, "b": 2}


@pytest.mark.parametrize("blank", [b" ", b"\t", b"\n", b"\r"])
def test_blanks_of_json(blank: bytes):
    assert decode(blank.join((b"", b"[", b"1", b",", b"2", b"]", b""))) == [1, 2]


@pytest.mark.parametrize("text", ["-0", "[-0]", '{"a":-0}', "[1, -0]", "[1,\n-0]"])
def test_minus_zero_is_a_float_wherever_it_stands(text: str):
    assert "-0.0" in str(decode(text.encode()))


@pytest.mark.parametrize("text", ["a-0", "2026-01-01", " -0", "1234567890123456789012"])
def test_digits_in_strings_stay_as_they_are(text: str):
    assert decode(f'["{text}",1,2.5]'.encode()) == [text, 1, 2.5]
    assert type(decode(f'["{text}",1]'.encode())[1]) is int


@pytest.mark.parametrize(
    ("authored", "text"),
    [
        ('{"b":1,"a":2,"C":3,"é":4,"aa":5}', '{"C":3,"a":2,"aa":5,"b":1,"é":4}'),
        (
            '{"n":1.0,"i":1,"e":1e5,"E":1E+2,"z":-0,"zz":-0.0,"f":0.1e1}',
            '{"E":100.0,"e":100000.0,"f":1.0,"i":1,"n":1.0,"z":-0.0,"zz":-0.0}',
        ),
        (
            '{"big":18446744073709551615,"over":18446744073709551616,'
            '"neg":-9223372036854775808,"under":-9223372036854775809}',
            '{"big":18446744073709551615,"neg":-9223372036854775808,'
            '"over":1.8446744073709552e19,"under":-9.223372036854776e18}',
        ),
        ('{"dup":1,"dup":2}', '{"dup":2}'),
        ('{ "ws" :  [ 1 ,2 ] }', '{"ws":[1,2]}'),
        ('{"":0}', '{"":0}'),
        (
            '{"nest":{"z":[1,2.0,"3",null,true],"a":{}},"arr":[[1,2],[3]]}',
            '{"arr":[[1,2],[3]],"nest":{"a":{},"z":[1,2.0,"3",null,true]}}',
        ),
        ('{"s":"/\\u007f\\u2028\\u0001\\b\\f\\n\\r\\t\\"\\\\"}', '{"s":"/\x7f\u2028\\u0001\\b\\f\\n\\r\\t\\"\\\\"}'),
        (
            "[1e15,1e16,123456789012345680.0,0.0001,0.00001,0.000015,1e-7,5e-324,42.0]",
            "[1000000000000000.0,1e16,1.2345678901234568e17,0.0001,0.00001,0.000015,1e-7,5e-324,42.0]",
        ),
    ],
)
def test_canonical_text(authored: str, text: str):
    assert canonical(decode(authored.encode())).decode() == text


@pytest.mark.parametrize("text", [b"]" * 200 + b"[" * 200, b"[{" * 64 + b"]}" * 64, b"[" * 127 + b"}" * 127])
def test_brackets_that_do_not_match_are_refused(text: bytes):
    with pytest.raises(JsonError):
        decode(text)


def test_a_wide_document_is_read():
    levels = [[101.5 + step, step] for step in range(500)]
    assert decode(canonical({"bids": levels, "asks": levels})) == {"bids": levels, "asks": levels}


def test_a_template_is_what_stands_around_the_sentinels():
    assert template_pieces(b'{"a":"<1>","b":["<2>"]}', b'"<1>"', b"<2>") == (b'{"a":', b',"b":["', b'"]}')
    assert template_pieces(b"{}") == (b"{}",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"a":"<1>","b":2}', "sentinel b'<2>' occurs 0 times"),
        (b'{"a":"<1>","b":"<2>","c":"<2>"}', "sentinel b'<2>' occurs 2 times"),
        (b'{"b":"<2>","a":"<1>"}', "sentinel b'<2>' is out of order"),
    ],
)
def test_a_sentinel_that_does_not_occur_once_and_in_order_is_refused(text: bytes, message: str):
    with pytest.raises(ValueError, match=message):
        template_pieces(text, b"<1>", b"<2>")


def test_a_record_opens_with_the_name_of_its_first_member():
    class Pair(Struct, rename="camel"):
        first_one: int
        second_one: int

    assert record_opening(Pair) == b'{"firstOne"'
