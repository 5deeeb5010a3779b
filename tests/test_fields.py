from __future__ import annotations

import contextlib
import json
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.errors import ProbeError, Reason
from exporter.fields import Fields, decode, items

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@pytest.mark.parametrize(
    "body",
    [b'\xef\xbb\xbf{"a":1}', b'{"a":1}\x00', b'  {"a":1}\n', b'{"a":1,"b":"\x01"}', b'{"a":1,"b":"\xe9"}'],
)
def test_what_firmware_is_known_to_send_is_read(body: bytes) -> None:
    assert decode(body)["a"] == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<!doctype html><html></html>",
        b'{"a":',
        b"{'a':1}",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"a": ' + b"9" * 10_000 + b"}",
        b"\xff\xfe",
        b"nul",
    ],
)
def test_anything_else_is_not_json(body: bytes) -> None:
    with pytest.raises(ProbeError) as caught:
        decode(body)
    assert caught.value.reason is Reason.NOT_JSON


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"<!doctype html><html></html>", True),
        (b"\xef\xbb\xbf \n<html>", True),
        (b'{"a": HTML', False),
        (b"", False),
    ],
)
def test_a_web_page_is_known_without_reading_the_message(body: bytes, expected: bool) -> None:
    with pytest.raises(ProbeError) as caught:
        decode(body)
    assert caught.value.web_page is expected
    assert caught.value.at("/x").web_page is expected


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"1e-320," * 74_000 + b"0]",
        b"[" + b"2.2250738585072011E-308," * 20_000 + b"0]",
        b"[" + b"[]," * 70_000 + b"0]",
        b"[" + b'{"a":{}},' * 35_000 + b"0]",
        # The lenient decoder is not tried on what is long.
        b'["\x01",' + b"1," * 70_000 + b"0]",
    ],
)
def test_what_would_take_a_decoder_long_is_refused_unread(body: bytes) -> None:
    with pytest.raises(ProbeError) as caught:
        decode(body)
    assert caught.value.reason is Reason.NOT_JSON


def test_a_number_with_a_negative_exponent_is_read() -> None:
    assert decode(b'{"a":1.5e-7,"b":[1E-320,2,3.5]}') == {"a": 1.5e-7, "b": [1e-320, 2, 3.5]}


def test_a_long_answer_that_is_not_utf_8_is_read() -> None:
    body = b'\xef\xbb\xbf["\xe9",' + b"1," * 70_000 + b"0]\0"
    assert decode(body)[:2] == ["\ufffd", 1]


def test_a_refusal_does_not_quote_the_device() -> None:
    with pytest.raises(ProbeError) as caught:
        decode(b'{"password": hunter2}')
    assert "hunter2" not in str(caught.value)


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(body: bytes) -> None:
    with contextlib.suppress(ProbeError):
        decode(body)


def test_numbers_are_numbers_and_nothing_else() -> None:
    odd: Counter[str] = Counter()
    data = json.loads('{"i":1,"f":2.5,"t":true,"s":"3","n":null,"nan":NaN,"inf":Infinity,"big":1e999,"o":{}}')
    fields = Fields({**data, "huge": 10**400}, "x", odd)
    assert fields.number("i") == 1.0
    assert fields.number("f") == 2.5
    assert fields.number("n") is None
    assert fields.number("missing") is None
    assert not odd
    for key in ("t", "s", "nan", "inf", "big", "o", "huge"):
        assert fields.number(key) is None
    assert odd == Counter({f"x.{key}": 1 for key in ("t", "s", "nan", "inf", "big", "o", "huge")})


def test_an_unknown_choice_is_kept_cleaned_and_counted() -> None:
    odd: Counter[str] = Counter()
    fields = Fields({"state": "thaw\ning" + "x" * 100}, "status", odd)
    state = fields.choice("state", ("mining",))
    assert state is not None
    assert state.startswith("thawing")
    assert len(state) == 32
    assert odd == {"status.state": 1}


def test_lists_are_bounded() -> None:
    odd: Counter[str] = Counter()
    assert len(list(items([{}] * 1000, "x", odd, most=10))) == 10
    assert odd == {"x": 1}


@given(JSON)
def test_no_json_raises(data: object) -> None:
    odd: Counter[str] = Counter()
    fields = Fields(data, "x", odd)
    for key in [*fields.keys(), "missing"]:
        fields.number(key)
        fields.numeral(key)
        fields.text(key)
        fields.flag(key)
        fields.choice(key, ())
        list(fields.objects(key))
        fields.object(key).number("a")
    assert all(path.startswith("x") for path in odd)
