"""One JSON object per line, strictly: every way in which other readers are lenient is refused."""

from __future__ import annotations

import contextlib
import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechlake.manifests.record import Refusal
from speechlake.manifests.strict_json import canonical, parse_object

REFUSED = [
    (b"", "BAD_JSON"),
    (b"hello", "BAD_JSON"),
    (b'{"a":1', "BAD_JSON"),
    (b'{"a":1,}', "BAD_JSON"),
    (b"{'a':1}", "BAD_JSON"),
    (b'{"a":tru', "BAD_JSON"),
    (b'{"a":01}', "BAD_JSON"),
    (b'{"a":1} x', "BAD_JSON"),
    (b'{"a":1}{"a":2}', "TWO_OBJECTS"),
    (b'{"a":1} {"a":2}', "TWO_OBJECTS"),
    (b'{"a":1,"a":1}', "DUPLICATE_KEY"),
    (b'{"b":{"a":1,"a":2}}', "DUPLICATE_KEY"),
    (b'{"\\u0061":1,"a":1}', "DUPLICATE_KEY"),
    (b"[1]", "BAD_TYPE"),
    (b'"text"', "BAD_TYPE"),
    (b"3", "BAD_TYPE"),
    (b"null", "BAD_TYPE"),
    (b'{"a":NaN}', "BAD_NUMBER"),
    (b'{"a":Infinity}', "BAD_NUMBER"),
    (b'{"a":-Infinity}', "BAD_NUMBER"),
    (b'{"a":1e999}', "BAD_NUMBER"),
    (b'{"a":1e-999}', "BAD_NUMBER"),
    (b'{"a":1e99999999999999999999}', "BAD_NUMBER"),
    (b'{"a":' + b"1" * 400 + b"}", "BAD_NUMBER"),
    (b'{"a":0.' + b"1" * 400 + b"}", "BAD_NUMBER"),
    (b'{"a":"\xff"}', "BAD_UTF8"),
    (b'{"a":"\xed\xa0\x80"}', "BAD_UTF8"),
    ('{"a":1}'.encode("utf-16-le"), "CONTROL_CHARACTER"),
    ('{"a":1}'.encode("utf-16"), "CONTROL_CHARACTER"),
    (b'\xef\xbb\xbf{"a":1}', "BAD_JSON"),
    (b'{"a":"x\x00y"}', "CONTROL_CHARACTER"),
    (b'{"a":"x\x01y"}', "CONTROL_CHARACTER"),
    (b'{"a":"x\\u0000y"}', "CONTROL_CHARACTER"),
    (b'{"a":["x\\u001by"]}', "CONTROL_CHARACTER"),
    (b'{"x\\by":1}', "CONTROL_CHARACTER"),
    (b'{"a":"\\ud800"}', "LONE_SURROGATE"),
    (b'{"a":{"b":["\\udfff"]}}', "LONE_SURROGATE"),
    (b"[" * 20_000, "TOO_DEEP"),
    (b'{"a":' * 20_000, "TOO_DEEP"),
    (b'{"a":' + b"[" * 64 + b"]" * 64 + b"}", "TOO_DEEP"),
    (b'{"a":"' + b"x" * (1 << 20) + b'"}', "TOO_LONG"),
]


@pytest.mark.parametrize(("raw", "reason"), REFUSED, ids=lambda value: repr(value)[:40])
def test_a_bad_line_is_refused_with_its_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(Refusal) as refusal:
        parse_object(raw)
    assert refusal.value.refused.reason == reason
    assert len(refusal.value.refused.detail) <= 300


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"a": 0.1}', {"a": Decimal("0.1")}),
        (b' {"a": -3} \r', {"a": -3}),
        (b'{"a": "\\ud83d\\ude00"}', {"a": "\U0001f600"}),
        (b'{"a": "tab\\tline\\n"}', {"a": "tab\tline\n"}),
        (b'{"a": "[[[[{{{{"}', {"a": "[[[[{{{{"}),
        (b'{"a": "' + b"[" * 100 + b'"}', {"a": "[" * 100}),
        (b'{"a": ' + b"[" * 60 + b"]" * 60 + b"}", {"a": json.loads("[" * 60 + "]" * 60)}),
        (b"{}", {}),
    ],
)
def test_a_good_line_is_read_exactly(raw: bytes, value: object) -> None:
    assert parse_object(raw) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_an_object_or_refused(raw: bytes) -> None:
    with contextlib.suppress(Refusal):
        assert isinstance(parse_object(raw), dict)


_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.text(st.characters(min_codepoint=32, exclude_categories=["Cs", "Cc"]))
)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from("abc"), inner)
)


@given(st.dictionaries(st.sampled_from(["a", "b", "é"]), _VALUES), st.booleans())
def test_what_json_writes_is_read_back(value: dict[str, object], ascii_only: bool) -> None:
    assert parse_object(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("é", "é"),
        (3, "3"),
        (Decimal("1.50"), "1.50"),
        (True, "true"),
        ({"b": [Decimal("0.5"), None], "a": 1}, '{"a":1,"b":[0.5,null]}'),
    ],
)
def test_extras_are_canonical_text(value: object, text: str) -> None:
    assert canonical(value) == text
