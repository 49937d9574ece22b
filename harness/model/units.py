"""Durations, shares and bounds as people write them in YAML, parsed once at the edge."""

import operator
import re
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, GetJsonSchemaHandler, PlainSerializer, WithJsonSchema
from pydantic_core import core_schema

_DURATION = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_YEAR_S = 366 * 86_400.0
_SHARE = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*%")
_BOUND = re.compile(r"(?P<op><=|>=|<|>)?\s*(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>ms|s|%)?")
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
    PlainSerializer(format_duration),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^{_DURATION.pattern}$".replace("?P<number>", "").replace("?P<unit>", ""),
            "examples": ["250ms", "10s"],
        }
    ),
]
"""Seconds; written with a unit."""

Share = Annotated[
    float,
    BeforeValidator(parse_share),
    PlainSerializer(format_share),
    WithJsonSchema({"type": "string", "pattern": r"^\d+(\.\d+)?\s*%$", "examples": ["5%"]}),
]
"""0 to 1; written as a percentage."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A limit with its direction: "< 250ms", ">= 99%", "<= 1.2"; without a sign it means "<=".

    `limit` is in milliseconds for ms and s, a fraction for %, else as written.
    """

    op: str
    limit: float
    unit: str  # "ms", "%" or ""

    @classmethod
    def parse(cls, raw: object) -> "Bound":
        """Read a bound; ValueError says what one looks like."""
        match = (
            _BOUND.fullmatch(str(raw).strip())
            if isinstance(raw, str | int | float) and not isinstance(raw, bool)
            else None
        )
        if match is None:
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
        return f"{value:.0f} ms" if self.unit == "ms" else f"{value:.3g}"

    def __str__(self) -> str:
        return f"{self.op} {self.show(self.limit)}"

    def written(self) -> str:
        """Write it as YAML would hold it; parsing that gives the same bound."""
        number = self.limit * 100 if self.unit == "%" else self.limit
        return f"{self.op} {number:g}{self.unit}"

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
            "pattern": r"^(<=|>=|<|>)?\s*\d+(\.\d+)?\s*(ms|s|%)?$",
            "examples": ["< 250ms", "< 0.5%"],
        }
