"""What a flag is worth for one caller: flagd's JSON definitions, with the part of its targeting language used here.

Conditions are `if`, `==`, `in` and `var`; `fractional` gives shares that stick to a caller, since they follow from a
hash of flag and targeting key, the same one as flagd's own: its daemon answers alike from the same document.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

FlagValue = bool | int | float | str
TARGETING_KEY = "targetingKey"
_MASK = 0xFFFFFFFF


class FlagRuleError(Exception):
    """The definition cannot be evaluated; the message says why."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """A flag's value for one caller, and how it came about: static, targeting_match or split."""

    value: FlagValue
    variant: str
    reason: str


def is_sound(definition: Any) -> bool:
    """Tell whether *definition* can be evaluated: variants, one of them the default, and a rule or none."""
    if not isinstance(definition, Mapping):
        return False
    variants, default = definition.get("variants"), definition.get("defaultVariant")
    rule, state = definition.get("targeting"), definition.get("state", "ENABLED")
    return (
        isinstance(variants, Mapping)
        and isinstance(default, str)
        and default in variants
        and all(isinstance(value, bool | int | float | str) for value in variants.values())
        and isinstance(rule, Mapping | None)
        and isinstance(state, str)
    )


def resolve(name: str, definition: Mapping[str, Any], context: Mapping[str, str]) -> Resolution | None:
    """Return the value of flag *name* for the caller described by *context*; None for a disabled flag."""
    if definition.get("state", "ENABLED") != "ENABLED":
        return None
    variants, default = definition["variants"], definition["defaultVariant"]
    rule = definition.get("targeting") or None
    chosen = None if rule is None else _evaluate(rule, name, context)
    variant = default if chosen is None else str(chosen)
    if variant not in variants:
        msg = f"flag {name}: {variant!r} is none of its variants"
        raise FlagRuleError(msg)
    return Resolution(variants[variant], variant, "static" if chosen is None else "targeting_match")


def _evaluate(rule: Any, name: str, context: Mapping[str, str]) -> Any:
    if not isinstance(rule, Mapping):
        return rule
    ((operator, operands),) = rule.items()
    if operator == "fractional":
        return _fraction(operands, name, context)
    if operator == "if":
        return _first_true(operands, name, context)
    values = [_evaluate(each, name, context) for each in (operands if isinstance(operands, list) else [operands])]
    if operator == "var":
        return name if values[0] == "$flagd.flagKey" else context.get(str(values[0]))
    if operator == "==":
        return values[0] == values[1]
    if operator == "in":
        return values[0] in values[1]
    msg = f"flag {name}: the operator {operator!r} is not known here"
    raise FlagRuleError(msg)


def _first_true(operands: Sequence[Any], name: str, context: Mapping[str, str]) -> Any:
    for at in range(0, len(operands) - 1, 2):
        if _evaluate(operands[at], name, context):
            return _evaluate(operands[at + 1], name, context)
    return _evaluate(operands[-1], name, context) if len(operands) % 2 else None


def _fraction(shares: Sequence[Sequence[Any]], name: str, context: Mapping[str, str]) -> str | None:
    total = sum(weight for _, weight in shares)
    key = context.get(TARGETING_KEY)
    if key is None or total <= 0:
        return None
    place = bucket(name + key)
    end = 0.0
    for variant, weight in shares:
        end += weight * 100 / total
        if place < end:
            return str(variant)
    return str(shares[-1][0])


def bucket(text: str) -> float:
    """Return where *text* falls between 0 and 100, always the same place."""
    return abs(_signed(murmur3(text.encode()))) / (2**31 - 1) * 100


def _signed(number: int) -> int:
    return number - (1 << 32) if number & 0x80000000 else number


def murmur3(data: bytes) -> int:
    """Return the 32-bit MurmurHash3 of *data*, seed 0."""
    hashed = 0
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        hashed = _mixed(hashed, int.from_bytes(data[at : at + 4], "little"))
        hashed = (_rotated(hashed, 13) * 5 + 0xE6546B64) & _MASK
    if len(data) > whole:
        hashed = _mixed(hashed, int.from_bytes(data[whole:], "little"))
    hashed ^= len(data)
    for factor, shift in ((0x85EBCA6B, 16), (0xC2B2AE35, 13)):
        hashed = ((hashed ^ hashed >> shift) * factor) & _MASK
    return hashed ^ hashed >> 16


def _mixed(hashed: int, block: int) -> int:
    return hashed ^ (_rotated(block * 0xCC9E2D51 & _MASK, 15) * 0x1B873593 & _MASK)


def _rotated(number: int, by: int) -> int:
    return (number << by | number >> (32 - by)) & _MASK
