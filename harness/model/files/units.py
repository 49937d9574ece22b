"""Durations, shares and bounds as people write them in YAML, parsed once at the edge."""

import operator
import re
from dataclasses import dataclass
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any

from pydantic import BeforeValidator, GetJsonSchemaHandler, PlainSerializer, WithJsonSchema
from pydantic_core import core_schema

_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_YEAR_S = 366 * 86_400.0
_SHARE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*%")
_BOUND = re.compile(r"(?P<op><=|>=|<|>)?\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|%|x)?")
_HOLDS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def parse_duration_s(raw: object) -> float:
    """Turn "250ms", "10s", "2m" into seconds.

    Raises:
        ValueError: anything else, a bare number included: 10 what? Nor is anything longer than a year a duration here.
    """
    match = _DURATION.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if match is None:
        msg = f"expected a duration with its unit such as '250ms', '10s' or '2m', got {raw!r}"
        raise ValueError(msg)
    seconds = float(match["number"]) * _SECONDS[match["unit"]]
    if seconds > _YEAR_S:
        msg = f"expected a duration of at most a year, got {raw!r}"
        raise ValueError(msg)
    return round(seconds, 9)


def format_duration(seconds: float) -> str:
    """Write seconds as a person would: 0.25 -> "250ms", 90 -> "90s"."""
    return f"{seconds * 1000:g}ms" if 0 < seconds < 1 else f"{seconds:g}s"


def written_duration(seconds: float) -> str:
    """Write seconds so that parsing gives the same number."""
    return f"{exact(seconds * 1000)}ms" if 0 < seconds < 1 else f"{exact(seconds)}s"


def exact(number: float) -> str:
    """Write a number with all its digits and without an exponent: 1234567.8, not 1.23457e+06."""
    return f"{Decimal(f'{number:.15g}'):f}"


def format_share(share: float) -> str:
    """Write 0.05 as "5%"."""
    return f"{share * 100:g}%"


def parse_share(raw: object) -> float:
    """Turn "5%" into 0.05; more than 100 % is refused."""
    match = _SHARE.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if match is None or float(match["number"]) > 100:
        msg = f"expected a percentage from 0% to 100% such as '5%', got {raw!r}"
        raise ValueError(msg)
    return float(match["number"]) / 100


Duration = Annotated[
    float,
    BeforeValidator(parse_duration_s),
    PlainSerializer(written_duration),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^{_DURATION.pattern}$".replace("?P<number>", "").replace("?P<unit>", ""),
            "examples": ["250ms", "10s"],
        }
    ),
]
"""Seconds; written with a unit."""

Shift = Annotated[
    float,
    BeforeValidator(lambda raw: _parse_shift_s(raw)),
    PlainSerializer(lambda seconds: f"{'-' if seconds < 0 else ''}{written_duration(abs(seconds))}"),
    WithJsonSchema({"type": "string", "pattern": r"^[+-]?\d+(\.\d+)?\s*(ms|s|m|h)$", "examples": ["-1h"]}),
]
"""Seconds, forwards or backwards; written with a unit."""


def _parse_shift_s(raw: object) -> float:
    text = raw.strip() if isinstance(raw, str) else raw
    if isinstance(text, str) and text[:1] in ("+", "-"):
        seconds = parse_duration_s(text[1:])
        return -seconds if text[0] == "-" else seconds
    return parse_duration_s(text)


_SIZE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>B|kB|MB|GB)")
_BYTES = {"B": 1, "kB": 1_000, "MB": 1_000_000, "GB": 1_000_000_000}


def parse_size(raw: object) -> int:
    """Turn "80MB" into bytes (1 MB is 1,000,000 bytes); ValueError for anything else."""
    match = _SIZE.fullmatch(raw.strip()) if isinstance(raw, str) else None
    if match is None:
        msg = f"expected a size with its unit such as '80MB', got {raw!r}"
        raise ValueError(msg)
    return round(float(match["number"]) * _BYTES[match["unit"]])


Size = Annotated[
    int,
    BeforeValidator(parse_size),
    PlainSerializer(lambda size: f"{size}B"),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*(B|kB|MB|GB)$", "examples": ["80MB"]}),
]
"""Bytes; written with a unit."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A time, or a range from which one is drawn: "2s", "1s..6s"; seconds."""

    earliest_s: float
    latest_s: float

    @classmethod
    def parse(cls, raw: object) -> "Moment":
        """Read a moment; ValueError says what one looks like."""
        if not isinstance(raw, str) or ".." not in raw:
            seconds = parse_duration_s(raw)
            return cls(seconds, seconds)
        earliest, _, latest = raw.partition("..")
        moment = cls(parse_duration_s(earliest), parse_duration_s(latest))
        if moment.earliest_s > moment.latest_s:
            msg = f"expected an earliest and a latest time such as '1s..6s', got {raw!r}"
            raise ValueError(msg)
        return moment

    def drawn(self, chance: float) -> float:
        """Return the time that *chance*, from 0 to 1, picks; milliseconds are fine enough."""
        return round(self.earliest_s + chance * (self.latest_s - self.earliest_s), 3)

    def written(self) -> str:
        """Write it as YAML would hold it; parsing that gives the same moment."""
        earliest, latest = written_duration(self.earliest_s), written_duration(self.latest_s)
        return earliest if self.earliest_s == self.latest_s else f"{earliest}..{latest}"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda raw: raw if isinstance(raw, cls) else cls.parse(raw),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda moment: moment.written()),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        one = r"\d+(\.\d+)?\s*(ms|s|m|h)"
        return {"type": "string", "pattern": rf"^{one}(\.\.{one})?$", "examples": ["2s", "1s..6s"]}


Share = Annotated[
    float,
    BeforeValidator(parse_share),
    PlainSerializer(lambda share: f"{exact(share * 100)}%"),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$", "examples": ["5%"]}),
]
"""0 to 1; written as a percentage."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit with its direction: "< 250ms", ">= 99%", "<= 1.2"; without a sign it means "<=".

    `limit` is in milliseconds for ms and s, a fraction for %, else as written; "1.5x" is a multiple of the baseline.
    """

    op: str
    limit: float
    unit: str  # "ms", "%", "x" or ""

    @classmethod
    def parse(cls, raw: object) -> "Bound":
        """Read a bound; ValueError says what one looks like."""
        match = (
            _BOUND.fullmatch(str(raw).strip())
            if isinstance(raw, str | int | float) and not isinstance(raw, bool)
            else None
        )
        if match is None or not isfinite(float(match["number"])):
            msg = f"expected a bound such as '< 250ms', '>= 99%' or '<= 1.2', got {raw!r}"
            raise ValueError(msg)
        number, unit = float(match["number"]), match["unit"] or ""
        scale = {"s": 1000.0, "%": 0.01}.get(unit, 1.0)
        return cls(match["op"] or "<=", number * scale, "ms" if unit == "s" else unit)

    def holds(self, value: float) -> bool:
        """Say whether *value*, in this bound's unit, is on the right side."""
        return bool(_HOLDS[self.op](value, self.limit))

    @property
    def is_upper(self) -> bool:
        """True where smaller is better."""
        return self.op.startswith("<")

    def show(self, value: float) -> str:
        """Write *value* in this bound's unit."""
        if self.unit == "%":
            return f"{value * 100:.3g}%"
        return f"{value:.0f} ms" if self.unit == "ms" else f"{value:.3g}{self.unit}"

    def __str__(self) -> str:
        return f"{self.op} {self.show(self.limit)}"

    def written(self) -> str:
        """Write it as YAML would hold it; parsing that gives the same bound."""
        number = self.limit * 100 if self.unit == "%" else self.limit
        return f"{self.op} {exact(number)}{self.unit}"

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: Any) -> core_schema.CoreSchema:
        return core_schema.no_info_plain_validator_function(
            lambda raw: raw if isinstance(raw, cls) else cls.parse(raw),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda bound: bound.written()),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {
            "type": ["string", "number"],
            "pattern": r"^(<=|>=|<|>)?\s*\d+(\.\d+)?\s*(ms|s|%|x)?$",
            "examples": ["< 250ms", "< 0.5%"],
        }
