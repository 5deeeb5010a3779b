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
MAX_BYTES = 4 * 1024 * 1024
# Values as they stand in the result, each use of an alias counted anew: some 20 for each of 10,000 miners.
MAX_VALUES = 200_000
_MAX_DEPTH = 32
_TAG = "tag:yaml.org,2002:"
_MERGE = f"{_TAG}merge"
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_][A-Za-z0-9_]*)\}|(\{[^}]*\}?))")
_NO_TEXT = re.compile("[\0\ud800-\udfff]")
_SCALARS = {
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?(?:0|[1-9][0-9]{0,30})",
    "float": r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?",
    "null": r"~|null|Null|NULL|",
}
_FIRST = {
    "bool": "tTfF",
    "int": "-+0123456789",
    "float": "-+.0123456789",
    "null": ["~", "n", "N", ""],
}
# The library quotes what it found, and that may be a piece of a secret: only these quotes are its own words.
_OWN_WORDS = re.compile(r"(?:[^'\"]|'(?:<[a-z ]+>|[\[\]{},:.?-])')*")


class _Loader(yaml.SafeLoader):
    """Text to nodes, with the scalars of YAML 1.2's core schema; *ended* tells whether ``...`` closed it."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.ended = False
        self._depth = 0

    def compose_document(self) -> yaml.Node | None:
        self.get_event()  # type: ignore[no-untyped-call]
        node = self.compose_node(None, 0)
        self.ended = self.get_event().explicit  # type: ignore[no-untyped-call]
        self.anchors = {}
        return node

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise _refusal("nested too deeply", self.get_mark())
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node


_Loader.yaml_implicit_resolvers = {}
for _name, _pattern in _SCALARS.items():
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(rf"^(?:{_pattern})$"), list(_FIRST[_name]))
_Loader.add_implicit_resolver(_MERGE, re.compile(r"^<<$"), ["<"])


def _refusal(problem: str, mark: yaml.Mark | None) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


@dataclass
class Document:
    """A parsed file: its data, the line of every key path, and what was wrong in it.

    ``ended`` tells whether the end marker ``...`` stands behind it.
    """

    data: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    faults: list[tuple[KeyPath, int | None, str]] = field(default_factory=list)
    ended: bool = False


def parse(text: str, environ: Mapping[str, str]) -> Document:
    """Read one YAML document in time linear in its size; every fault is collected, none raised.

    No fault quotes the text.
    """
    document = Document()
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            document.ended = loader.ended
            if node is not None:
                document.data = _Builder(document, environ).build(node, ())
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        document.faults.append(((), mark.line + 1 if mark else None, _mistake(error.problem or "")))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        document.faults.append(((), line, "expected YAML, found a character that is no text"))
    except (yaml.YAMLError, ValueError, OverflowError):
        # Among them an escape or a version beyond what the library reckons with.
        document.faults.append(((), None, "expected YAML, found text that is none"))
    return document


def _mistake(problem: str) -> str:
    if problem.startswith("found character"):
        problem = "text that begins with a sign of YAML's own; put it in quotes"
    elif problem == "but found another document" or problem.startswith("expected '<document start>'"):
        problem = "more behind the end of the document, which --- or ... may mark"
    elif problem == "second occurrence":
        problem = "an anchor given twice"
    elif not _OWN_WORDS.fullmatch(problem):
        problem = re.split("['\"]", problem)[0].removesuffix(" but found ").rstrip(" ,")
    return f"expected YAML, found a mistake: {problem or 'text that is none'}"


class _Builder:
    """Nodes to data. What an alias repeats is built, and counted, each time: it has a key path of its own."""

    def __init__(self, document: Document, environ: Mapping[str, str]) -> None:
        self._document = document
        self._environ = environ
        self._values = 0
        self._characters = 0

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        line = node.start_mark.line + 1
        self._count(node)
        self._document.lines.setdefault(path, line)
        if len(path) > _MAX_DEPTH:
            raise _refusal("nested too deeply", node.start_mark)
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self.build(item, (*path, index)) for index, item in enumerate(node.value)]
        if not isinstance(node, yaml.ScalarNode):
            raise _refusal("a tag that is not known here", node.start_mark)
        value = _scalar(node)
        return self._expand(value, path, line) if isinstance(value, str) else value

    def _count(self, node: yaml.Node) -> None:
        self._values += 1
        if self._values > MAX_VALUES:
            raise _refusal(f"more than {MAX_VALUES} values, with what aliases repeat", node.start_mark)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        result: dict[str, Any] = {}
        merged: list[tuple[yaml.Node, yaml.Node]] = []
        for key_node, value_node in node.value:
            line = key_node.start_mark.line + 1
            if key_node.tag == _MERGE:
                self._merge(value_node, merged, 0)
            elif not isinstance(key_node, yaml.ScalarNode):
                self._fault(path, line, "expected a key that is text, found a list or a section")
            elif key_node.value in result:
                self._fault((*path, key_node.value), line, "expected each key once, found it again")
            else:
                self._entry(key_node, value_node, path, result)
        for key_node, value_node in merged:
            # A key of one's own goes before a merged one, and an earlier section before a later one.
            if isinstance(key_node, yaml.ScalarNode) and key_node.value not in result:
                self._entry(key_node, value_node, path, result)
        return result

    def _entry(
        self, key_node: yaml.Node, value_node: yaml.Node, path: KeyPath, result: dict[str, Any]
    ) -> None:
        key = _text(key_node)
        self._document.lines[(*path, key)] = key_node.start_mark.line + 1
        result[key] = self.build(value_node, (*path, key))

    def _merge(self, node: yaml.Node, pairs: list[tuple[yaml.Node, yaml.Node]], depth: int) -> None:
        """Append what ``<<: node`` brings: a section, or a list of them."""
        self._count(node)
        if depth > _MAX_DEPTH:
            raise _refusal("nested too deeply", node.start_mark)
        if isinstance(node, yaml.SequenceNode):
            for item in node.value:
                self._merge(item, pairs, depth + 1)
            return
        if not isinstance(node, yaml.MappingNode):
            raise _refusal("a merge of what is no section", node.start_mark)
        inner = []
        for key_node, value_node in node.value:
            self._count(key_node)
            if key_node.tag == _MERGE:
                inner.append(value_node)
            else:
                pairs.append((key_node, value_node))
        for value_node in inner:
            self._merge(value_node, pairs, depth + 1)

    def _expand(self, value: str, path: KeyPath, line: int) -> str:
        if "$" not in value:
            return value

        def replace(match: re.Match[str]) -> str:
            name = match[1]
            if name is None:
                self._fault(path, line, "expected ${NAME} with the name of a variable")
            elif name not in self._environ:
                # A name in small letters may be a secret that was put in the braces.
                shown = f"variable {name}" if name.isupper() else "variable named here"
                self._fault(path, line, f"expected the environment {shown}, found it unset")
            else:
                return self._environ[name]
            # Stands for the missing value, so that its key is not reported again as empty.
            return "unset"

        expanded = _VARIABLE.sub(replace, value)
        self._characters += len(expanded)
        if self._characters > MAX_BYTES or not _is_text(expanded):
            self._fault(path, line, "expected text in the environment, found too much or none")
            return "unset"
        return FromEnvironment(expanded) if expanded != value else value

    def _fault(self, path: KeyPath, line: int, text: str) -> None:
        self._document.faults.append((path, line, text))


def _scalar(node: yaml.ScalarNode) -> Any:
    """The value of a scalar; text unless its form or a core tag says otherwise."""
    name = node.tag.removeprefix(_TAG)
    if name in ("str", "merge", "!"):
        return _text(node)
    if name not in _SCALARS:
        raise _refusal("a tag that is not known here", node.start_mark)
    if not re.fullmatch(_SCALARS[name], node.value):
        raise _refusal("a value that does not fit its tag", node.start_mark)
    match name:
        case "bool":
            return node.value.lower() == "true"
        case "int":
            return int(node.value)
        case "float":
            return float(node.value)
    return None


def _text(node: yaml.Node) -> str:
    text: str = node.value
    if not _is_text(text):
        raise _refusal("an escape that stands for no character", node.start_mark)
    return text


def _is_text(text: str) -> bool:
    return not _NO_TEXT.search(text)
