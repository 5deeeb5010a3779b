"""The types configuration sections are built from. Each refusal says what was expected, never the value."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationInfo

from exporter.catalogue import CATALOGUE

_LONGEST_SECRET_BYTES = 64 * 1024
_LABEL = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)
# Labels with a meaning of their own on some series, or to Prometheus.
RESERVED_LABELS = frozenset(
    {"instance", "job", "le", "quantile", "alertname", "severity"}
    | {label for metric in CATALOGUE.values() for label in metric.labels}
)


# A key or name that may be shown in a fault: others may be a secret in the wrong place.
WORD = re.compile(r"[A-Za-z_-]{1,40}")


class Section(BaseModel):
    """A part of the file: unknown keys are faults, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class FromEnvironment(str):
    """Text that came from an environment variable, where everything is text."""

    __slots__ = ()


def _number(value: Any) -> Any:
    if isinstance(value, FromEnvironment):
        text = value.strip()
        if re.fullmatch(r"[+-]?\d+", text, re.ASCII):
            return int(text)
        if re.fullmatch(r"[+-]?\d+\.\d*", text, re.ASCII):
            return float(text)
    return value


def _boolean(value: Any) -> Any:
    if isinstance(value, FromEnvironment):
        return {"true": True, "false": False}.get(value.strip().lower(), value)
    return value


def _secret_file(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str):
        return value
    context = info.context or {}
    path = Path(context.get("directory", ""), value)
    context.get("secret_files", set()).add(value)
    # systemd's LoadCredential: a copy that its service can read, where the file itself is root's only.
    credential = Path(context.get("credentials") or "/nonexistent", path.name)
    if credential.exists():
        path = credential
    try:
        with path.open("rb") as stream:
            content = stream.read(_LONGEST_SECRET_BYTES + 1)
        text = content.decode("utf-8").strip()
    except (OSError, ValueError):
        raise ValueError("expected a file this user can read") from None
    if len(content) > _LONGEST_SECRET_BYTES:
        raise ValueError("expected a file with the secret in it, and it is too large for one")
    if not text:
        raise ValueError("expected a file with the secret in it, and it is empty")
    return SecretStr(text)


def _secret(value: Any, info: ValidationInfo) -> Any:
    if isinstance(value, str):
        context = info.context or {}
        context["secrets_in_place"] = context.get("secrets_in_place", 0) + 1
        if not value.strip():
            raise ValueError("expected a secret, and it is empty")
        return SecretStr(value)
    return value


def _named(name: str) -> str:
    return repr(name) if WORD.fullmatch(name) else "one here"


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for name, value in labels.items():
        if not _LABEL.fullmatch(name) or name.startswith("__"):
            raise ValueError(
                f"expected label names of letters, digits and underscores; {_named(name)} is none"
            )
        if name in RESERVED_LABELS:
            raise ValueError(f"expected a label of your own; {name!r} has a meaning already")
        if not value.isprintable() or len(value) > 256:
            raise ValueError(f"expected printable text of at most 256 characters for label {_named(name)}")
    return labels


Boolean = Annotated[bool, BeforeValidator(_boolean)]
Integer = Annotated[int, BeforeValidator(_number)]
Number = Annotated[float, Field(allow_inf_nan=False), BeforeValidator(_number)]
Positive = Annotated[Number, Field(gt=0)]
Labels = Annotated[dict[str, str], AfterValidator(_labels)]
Secret = Annotated[SecretStr, BeforeValidator(_secret)]
SecretFile = Annotated[SecretStr, BeforeValidator(_secret_file)]


def chosen_secret(name: str, direct: SecretStr | None, from_file: SecretStr | None) -> SecretStr | None:
    """The secret given either in place or by file.

    Raises:
        ValueError: both were given.
    """
    if direct and from_file:
        raise ValueError(f"expected {name} or {name}_file, found both")
    return direct or from_file
