from __future__ import annotations

import pytest

from exporter.errors import ProbeError
from exporter.vnish.cgi import lenient


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": "1"}', {"a": "1"}),
        ('{"a": [45,temp5=0]}', {"a": [45]}),
        ('{"a": "1",}', {"a": "1"}),
        ('{"a": [1, 2,]}', {"a": [1, 2]}),
        ('{"a": "1"\n"b": "2"}', {"a": "1", "b": "2"}),
        ('{"a": [{"b": 1}{"b": 2}]}', {"a": [{"b": 1}, {"b": 2}]}),
    ],
)
def test_pages_broken_in_a_known_way_are_read(text: str, expected: object) -> None:
    assert lenient(text.encode()) == expected


@pytest.mark.parametrize("text", ["<html></html>", "", "{", "=" * 300_000, "{{{{"])
def test_other_text_is_not_json(text: str) -> None:
    with pytest.raises(ProbeError):
        lenient(text.encode())


@pytest.mark.parametrize(
    "text",
    ["{" + " " * 200_000 + "!", "{" + "\n" * 200_000 + "!", '{"a": 1' + "\n" * 200_000 + "!", "a" * 200_000],
)
def test_no_page_takes_long_to_mend(text: str) -> None:
    # Quadratic work on these would be hours; the test would not end.
    with pytest.raises(ProbeError):
        lenient(text.encode())
