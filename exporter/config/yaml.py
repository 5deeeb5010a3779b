"""YAML as people mean it: 1.2 scalars, no duplicate keys, line numbers, ``${VARIABLE}`` in values.

PyYAML's own loader takes ``yes`` for true, ``12:34`` for 754, ``010`` for 8, and the last of two equal keys.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from exporter.config.base import FromEnvironment

KeyPath = tuple[str | int, ...]
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|(\{[^}]*\}?))")
_MAX_DEPTH = 32


class _Loader(yaml.SafeLoader):
    """The safe loader with the scalars of YAML 1.2's core schema."""


_Loader.yaml_implicit_resolvers = {}
for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", "-+0123456789"),
    (
        "float",
        r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("merge", r"<<", "<"),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), list(_first))


@dataclass
class Document:
    """A parsed file: its data, the line of every key path, and what was wrong in it."""

    data: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    faults: list[tuple[KeyPath, int | None, str]] = field(default_factory=list)


def parse(text: str, environ: Mapping[str, str]) -> Document:
    """Read one YAML document; every fault is collected, none raised."""
    document = Document()
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is not None:
                document.data = _Builder(loader, document, environ).build(node, ())
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line = mark.line + 1 if mark else None
        document.faults.append(((), line, f"expected YAML, found a mistake: {error.problem}"))
    except (yaml.YAMLError, RecursionError):
        document.faults.append(((), None, "expected YAML, found text that is none"))
    return document


class _Builder:
    def __init__(self, loader: _Loader, document: Document, environ: Mapping[str, str]) -> None:
        self._loader = loader
        self._document = document
        self._environ = environ

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        line = node.start_mark.line + 1
        self._document.lines.setdefault(path, line)
        if len(path) > _MAX_DEPTH:
            raise yaml.YAMLError("nested too deeply")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        try:
            value = self._loader.construct_object(node)
        except (ValueError, TypeError, AttributeError):
            # An explicit tag that does not fit, or a number of thousands of digits.
            raise yaml.constructor.ConstructorError(
                None, None, "a value that cannot be read", node.start_mark
            ) from None
        return self._expand(value, path, line) if isinstance(value, str) else value

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        self._loader.flatten_mapping(node)
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                self._fault(path, line, "expected a key that is text, found a list or a section")
            elif key in result:
                self._fault((*path, key), line, "expected each key once, found it again")
            else:
                self._document.lines[(*path, key)] = line
                result[key] = self.build(value_node, (*path, key))
        return result

    def _expand(self, value: str, path: KeyPath, line: int) -> str:
        if "$" not in value:
            return value

        def replace(match: re.Match[str]) -> str:
            name = match[1]
            if name is None:
                self._fault(path, line, "expected ${NAME} with the name of a variable")
            elif name not in self._environ:
                self._fault(path, line, f"expected the environment variable {name}, found it unset")
            else:
                return self._environ[name]
            # Stands for the missing value, so that its key is not reported again as empty.
            return "unset"

        expanded = _VARIABLE.sub(replace, value)
        return FromEnvironment(expanded) if expanded != value else value

    def _fault(self, path: KeyPath, line: int, text: str) -> None:
        self._document.faults.append((path, line, text))
