"""Answers of a pool with anything in place of any of their values."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["scrypt", "1e400"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


def mangled(body: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """The body with any of its values replaced, at any depth."""

    @st.composite
    def build(draw: st.DrawFn, value: Any = body) -> Any:
        if draw(st.integers(0, 9)) == 0:
            return draw(JSON)
        if isinstance(value, dict):
            return {key: draw(build(item)) for key, item in value.items()}
        if isinstance(value, list):
            return [draw(build(item)) for item in value]
        return value

    return build().filter(lambda found: isinstance(found, dict))
