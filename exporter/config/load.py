"""File to :class:`~exporter.config.schema.Config`, or one clear line for each fault.

A line names the file, the line, the key path, what was expected and what was found; the values of secrets
are never among the last.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from exporter.address import Endpoint
from exporter.config.base import WORD, FromEnvironment
from exporter.config.schema import MARKET, MODULE, Config, Root
from exporter.config.yaml import MAX_BYTES, Document, KeyPath, parse
from exporter.pools import Account, Context, drivers
from exporter.pools.settings import PoolSettings

_SECRET_WORDS = ("password", "key", "secret", "token")
_MOST_FAULTS = 100
# A slip of the keyboard joins a secret to what stands beside it. Where secrets may stand, what is shown is
# too short to hold one.
_SHORTER_THAN_A_SECRET = 6
_FREE_OF_SECRETS = frozenset({"fleet", "economics", "breaker", "logging"})
_MOVED = {
    ("database",): "accepted and not used: Prometheus stores the history (prometheus/prometheus.yml)",
    ("alerts", "email"): "accepted and not used: Alertmanager sends e-mail (alertmanager/alertmanager.yml)",
    (
        "alerts",
        "slack",
    ): "accepted and not used: Alertmanager writes to Slack (alertmanager/alertmanager.yml)",
}


class ConfigError(Exception):
    """A configuration that cannot be used; *faults* are the lines to show."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def load(path: str | Path, environ: Mapping[str, str]) -> Config:
    """Read and check the file at *path*.

    Raises:
        ConfigError: with every fault in it.
    """
    file = Path(path)
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise ConfigError([f"{path}: expected at most {MAX_BYTES} bytes, found more"])
        text = content.decode("utf-8")
    except OSError as error:
        raise ConfigError([f"{path}: expected a readable file, found {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise ConfigError([f"{path}: expected UTF-8 text, found other bytes"]) from None
    document = parse(text, environ)
    return _Checker(str(path), file.parent, document, environ).config()


class _Checker:
    def __init__(self, name: str, directory: Path, document: Document, environ: Mapping[str, str]) -> None:
        self._name = name
        self._secret_files: set[str] = set()
        self._context: dict[str, Any] = {
            "directory": directory,
            "credentials": environ.get("CREDENTIALS_DIRECTORY"),
            "secret_files": self._secret_files,
            "secrets_in_place": 0,
        }
        self._document = document
        self._environ = environ
        # Line and text of each; a dictionary for its order and its quick look-up.
        self._faults: dict[tuple[int, str], None] = {}
        self._untold = 0
        for path, line, text in document.faults:
            self._fault(path, text, line)

    def config(self) -> Config:
        data = self._document.data
        if data is None and not self._faults:
            self._fault((), "expected sections such as fleet, found an empty file")
        elif not isinstance(data, dict) and not self._faults:
            self._fault((), f"expected sections such as fleet, found {_kind(data)}")
        if not isinstance(data, dict):
            raise self._error()
        # A section whose keys are all commented out is none.
        data = {
            key: value for key, value in data.items() if value is not None or key not in Root.model_fields
        }
        notes = self._moved(data)
        pools = self._pools(data)
        root = self._section(Root, data, ())
        if isinstance(root, Root):
            self._breakers(root)
            self._miners(root)
            self._instances(root, pools)
            self._payers(root, pools)
        if self._faults or not isinstance(root, Root):
            raise self._error()
        return Config(
            root,
            tuple(account for account, _ in pools),
            tuple(notes),
            self._document.ended,
            tuple(sorted(self._secret_files)),
            bool(self._context["secrets_in_place"]),
        )

    def _moved(self, data: dict[str, Any]) -> list[str]:
        notes = []
        for path, note in _MOVED.items():
            parent: Any = data
            for key in path[:-1]:
                inner = parent.get(key)
                if not isinstance(inner, dict):
                    # Absent, or of another type: the section's own fault, if any.
                    parent = {}
                    break
                parent[key] = parent = dict(inner)
            if path[-1] in parent:
                del parent[path[-1]]
                notes.append(f"{self._where(path)}: {note}")
        return notes

    def _pools(self, data: dict[str, Any]) -> list[tuple[Account, KeyPath]]:
        """The accounts of ``pools``, and those in the short form: a section named like a driver."""
        sections: list[tuple[str, Any, KeyPath]] = []
        listed = data.pop("pools", None)
        if listed is not None and not isinstance(listed, list):
            self._fault(("pools",), f"expected a list of accounts, found {_kind(listed)}")
            listed = None
        for index, entry in enumerate(listed or ()):
            path: KeyPath = ("pools", index)
            if not isinstance(entry, dict):
                self._fault(path, f"expected an account with a type, found {_kind(entry)}")
                continue
            section = dict(entry)
            kind = section.pop("type", None)
            if isinstance(kind, str) and kind in drivers():
                sections.append((kind, section, path))
            elif kind is None:
                self._fault(path, f"expected a type, one of {', '.join(drivers())}, found none")
            else:
                found = kind if isinstance(kind, str) else ""
                self._fault(
                    (*path, "type"),
                    f"expected a known type of pool{_found(kind, path)}{self._hint(found, [*drivers()])}",
                )
        for name in drivers():
            if name in data:
                short = data.pop(name)
                sections.append((name, {} if short is None else short, (name,)))
        pools = []
        for kind, section, path in sections:
            settings = self._section(drivers()[kind].Settings, section, path)
            if not isinstance(settings, PoolSettings):
                continue
            try:
                drivers()[kind].source(settings, Context(self._environ))
            except ValueError as error:
                self._fault(path, str(error))
            pools.append((Account(kind, settings), path))
        return pools

    def _section(self, model: type[BaseModel], data: Any, base: KeyPath) -> BaseModel | None:
        try:
            return model.model_validate(data, context=self._context)
        except ValidationError as error:
            self._untold += max(0, error.error_count() - _MOST_FAULTS)
            # A key that is itself wrong is reported once, not again for each type it could have had.
            for fault in itertools.islice(error.errors(include_url=False), _MOST_FAULTS):
                path: KeyPath = (*base, *fault["loc"])
                words = _words(fault, model, path, len(base), self._known(base))
                if fault["type"] == "extra_forbidden" and fault["input"] is None:
                    # A key without a value may be a value without its key, and a secret.
                    self._fault(path[:-1], words, self._document.lines.get(path))
                else:
                    self._fault(path, words)
            return None

    def _known(self, base: KeyPath) -> tuple[str, ...]:
        return () if base else ("pools", *drivers(), *(path[0] for path in _MOVED if len(path) == 1))

    def _breakers(self, root: Root) -> None:
        known = [MODULE, MARKET, *drivers()]
        for name in root.breaker:
            if name not in known:
                self._fault(("breaker", name), f"unknown key{self._hint(name, known)}")

    def _miners(self, root: Root) -> None:
        places: list[KeyPath] = [("fleet", "miner_ips", i) for i in range(len(root.fleet.miner_ips))]
        places += [("fleet", "miners", i) for i in range(len(root.fleet.miners))]
        names: dict[str, KeyPath] = {}
        listens: dict[tuple[str, int], KeyPath] = {}
        for path, miner in zip(places, root.fleet.all_miners(), strict=True):
            endpoint = Endpoint.parse(miner.address)
            where = path if "miner_ips" in path else (*path, "address")
            if endpoint.address is None and not root.fleet.allowed_networks:
                self._fault(
                    where,
                    "expected an address, or a name with fleet.allowed_networks to say where it may lead"
                    f"{_found(endpoint.host, where)}",
                )
            listen = (endpoint.host, endpoint.port)
            if listen in listens:
                self._fault(where, f"expected each miner once, found it at {_dotted(listens[listen])} too")
            elif miner.instance in names:
                self._fault(
                    (*path, "name") if miner.name else where,
                    f"expected a name of its own, found it at {_dotted(names[miner.instance])} too",
                )
            listens.setdefault(listen, where)
            names.setdefault(miner.instance, path)
            try:
                miner.thresholds.over(root.alerts.thresholds)
            except ValueError as error:
                self._fault((*path, "thresholds"), str(error))

    def _instances(self, root: Root, pools: list[tuple[Account, KeyPath]]) -> None:
        taken = dict.fromkeys((miner.instance for miner in root.fleet.all_miners()), "a miner")
        if root.market is not None:
            if MARKET in taken:
                self._fault(("market",), f"expected no miner named {MARKET} beside this section, found one")
            taken[MARKET] = f"the section {MARKET}"
        for account, path in pools:
            if account.instance in taken:
                where = (*path, "name") if account.settings.name else path
                self._fault(where, f"expected a name of its own, found it at {taken[account.instance]} too")
            taken.setdefault(account.instance, _dotted(path))
        if not (taken or root.fleet.allowed_networks or self._faults):
            self._fault(("fleet",), "expected miner_ips, miners or allowed_networks, found none of them")

    def _payers(self, root: Root, pools: list[tuple[Account, KeyPath]]) -> None:
        """``pool`` of the fleet and of a miner names an account."""
        known = dict.fromkeys(account.instance for account, _ in pools)
        named: list[tuple[KeyPath, str | None]] = [(("fleet", "pool"), root.fleet.pool)]
        named += [
            (("fleet", "miners", index, "pool"), miner.pool) for index, miner in enumerate(root.fleet.miners)
        ]
        for path, name in named:
            if name is not None and name not in known:
                # Not all of them: a slip may have made a secret the name of an account.
                hint = self._hint(name, [*known], listed=False) if known else "; there are no accounts"
                self._fault(path, f"expected the name of an account{_found(name, path)}{hint}")

    def _hint(self, key: str, known: list[str], *, listed: bool = True) -> str:
        """What may have been meant; finding that is slow, so not for faults that are not told."""
        return _nearest(key, known[:_MOST_FAULTS], listed) if len(self._faults) < _MOST_FAULTS else ""

    def _fault(self, path: KeyPath, text: str, line: int | None = None) -> None:
        known = self._document.lines
        at = path
        while line is None and at and at not in known:
            at = at[:-1]
        line = line if line is not None else known.get(at, 0) if path else 0
        self._faults[line, f"{self._where(path, line)}: {text}"] = None

    def _where(self, path: KeyPath, line: int | None = None) -> str:
        line = self._document.lines.get(path) if line is None else line
        place = f"{self._name}:{line}" if line else self._name
        return f"{place}: {_dotted(path)}" if path else place

    def _error(self) -> ConfigError:
        lines = [text for _, text in sorted(self._faults, key=lambda fault: fault[0])]
        more = len(lines[_MOST_FAULTS:]) + self._untold
        return ConfigError(lines[:_MOST_FAULTS] + ([f"{self._name}: {more} more faults"] if more else []))


def _dotted(path: KeyPath) -> str:
    text = ""
    for part in path:
        if isinstance(part, str) and not WORD.fullmatch(part):
            # It may be a secret in the wrong place; the line says where.
            break
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


_EXPECTED = {
    "missing": "expected a value",
    "bool_type": "expected true or false",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "finite_number": "expected a finite number",
    "string_type": "expected text",
    "list_type": "expected a list",
    "dict_type": "expected a section of keys",
    "model_type": "expected a section of keys",
    "string_pattern_mismatch": "expected a name of letters, digits, dots, dashes and underscores",
    "model_attributes_type": "expected a section of keys",
}
_BOUNDS = {"gt": "above", "ge": "of at least", "lt": "below", "le": "of at most"}


def _words(fault: Any, model: type[BaseModel], path: KeyPath, depth: int, more: tuple[str, ...]) -> str:
    """One of the library's faults in the words of this project; *model* is *depth* keys below the root."""
    loc = path[depth:]
    kind, context, value = fault["type"], fault.get("ctx", {}), fault["input"]
    if kind == "extra_forbidden":
        siblings = [*_keys_at(model, loc[:-1]), *(more if len(loc) == 1 else ())]
        return f"unknown key{_nearest(str(loc[-1]), siblings)}"
    if kind == "missing":
        return "expected a value, found none"
    if kind == "value_error":
        text = str(context["error"])
        return text if "found" in text or ";" in text else f"{text}{_found(value, path)}"
    if kind == "literal_error":
        return f"expected {context['expected']}{_found(value, path)}"
    if kind in ("string_too_short", "string_too_long"):
        return f"expected text of 1 to 128 characters{_found(value, path)}"
    bounds = {"greater_than": "gt", "greater_than_equal": "ge", "less_than": "lt", "less_than_equal": "le"}
    if kind in bounds:
        limit = bounds[kind]
        return f"expected a number {_BOUNDS[limit]} {context[limit]:g}{_found(value, path)}"
    if kind in ("model_type", "model_attributes_type", "dict_type"):
        return f"{_EXPECTED[kind]}, found {_kind(value)}"
    return f"{_EXPECTED.get(kind, 'expected another value')}{_found(value, path)}"


def _found(value: Any, loc: tuple[Any, ...]) -> str:
    if any(word in str(part).lower() for part in loc for word in _SECRET_WORDS):
        return ""
    if isinstance(value, FromEnvironment) or (isinstance(value, str) and re.search("[@?]", value)):
        # It may carry a secret: a key in a variable, a password in an address.
        return ", found text that is not shown"
    if isinstance(value, bool | None):
        return f", found {_kind(value)}"
    if isinstance(value, str | int | float):
        if len(str(value)) > _SHORTER_THAN_A_SECRET and _beside_secrets(loc):
            return f", found {_kind(value)} that is not shown"
        text = repr(str(value)) if isinstance(value, str) else f"{value}"
        return f", found {text if len(text) <= 60 else text[:57] + '...'}"
    return f", found {_kind(value)}"


def _beside_secrets(path: tuple[Any, ...]) -> bool:
    """Whether secrets may stand in the section *path* is in."""
    return path[:2] == ("fleet", "miners") or not _FREE_OF_SECRETS.intersection(path[:1])


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "a section of keys"
    if isinstance(value, list):
        return "a list"
    return "text" if isinstance(value, str) else "a number"


def _nearest(key: str, known: list[str], listed: bool = True) -> str:
    close = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; known here are {', '.join(sorted(known))}" if listed else ""


def _keys_at(model: type[BaseModel], loc: tuple[Any, ...]) -> list[str]:
    """The keys of the section at *loc* below *model*."""
    current: Any = model
    for part in loc:
        if _is_model(current):
            field = current.model_fields.get(part)
            current = field.annotation if field else None
        else:
            # An item of a list, or what a key of a mapping leads to.
            current = next(reversed(get_args(current)), None)
        while get_origin(current) in (Annotated, Union, UnionType):
            current = next(part for part in get_args(current) if part is not type(None))
    return list(current.model_fields) if _is_model(current) else []


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
