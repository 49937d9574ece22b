"""The flags as set: each a definition, a general value or share, and what single tenants get instead."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from target_stack.kit.flag_rules import FlagValue

DEFINITIONS = Path(__file__).with_name("definitions.json")


class UnknownFlagError(Exception):
    """There is no such flag."""


class FlagValueError(Exception):
    """The flag cannot have this value; the message says which it can."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A flag as somebody set it: a value, or for a switch the percentage of callers for whom it is on."""

    value: FlagValue
    tenants: Mapping[str, FlagValue] = field(default_factory=dict)

    def with_value(self, value: FlagValue, tenant: str | None) -> "Setting":
        """Return the setting after one change; a tenant that gets what all get is no exception any more."""
        if tenant is None:
            return replace(self, value=value)
        others = {name: kept for name, kept in self.tenants.items() if name != tenant}
        return replace(self, tenants=others if _same(value, self.value) else {**others, tenant: value})


class FlagBook:
    """All flags; every change is on disk, where there is a folder, before anybody hears of it."""

    def __init__(self, folder: Path | None, definitions: Mapping[str, Any] | None = None) -> None:
        self._path = folder / "settings.json" if folder is not None else None
        self._definitions = definitions or json.loads(DEFINITIONS.read_text())["flags"]
        self._settings = {
            name: Setting(each["variants"][each["defaultVariant"]]) for name, each in self._definitions.items()
        }
        self._number = 0
        self._epoch = os.urandom(4).hex() if folder is None else "kept"
        self._load()

    @property
    def revision(self) -> str:
        """Another text after each change."""
        return f"{self._epoch}.{self._number}"

    def document(self) -> dict[str, Any]:
        """Return all flags as a flagd document, with the revision beside them."""
        flags = {name: _rendered(self._definitions[name], each) for name, each in self._settings.items()}
        return {"revision": self.revision, "flags": flags}

    def read(self, name: str, tenant: str | None = None) -> FlagValue:
        """Return what was set, for everybody or for *tenant*; raise UnknownFlagError."""
        setting = self._setting(name)
        return setting.tenants.get(tenant, setting.value) if tenant else setting.value

    def write(self, name: str, value: Any, tenant: str | None = None) -> None:
        """Set a flag; raise UnknownFlagError or FlagValueError."""
        _check(name, self._definitions.get(name), value)
        self._settings[name] = self._setting(name).with_value(value, tenant)
        self._number += 1
        self._save()

    def _setting(self, name: str) -> Setting:
        if name not in self._settings:
            raise UnknownFlagError(name)
        return self._settings[name]

    def _save(self) -> None:
        if self._path is None:
            return
        kept = {name: {"value": each.value, "tenants": dict(each.tenants)} for name, each in self._settings.items()}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        aside = self._path.with_suffix(".aside")
        aside.write_text(json.dumps({"number": self._number, "settings": kept}))
        aside.replace(self._path)

    def _load(self) -> None:
        if self._path is None or not self._path.exists():
            return
        kept = json.loads(self._path.read_text())
        self._number = kept["number"]
        for name, each in kept["settings"].items():
            if name in self._settings:
                self._settings[name] = Setting(each["value"], each["tenants"])


def _check(name: str, definition: Mapping[str, Any] | None, value: Any) -> None:
    if definition is None:
        raise UnknownFlagError(name)
    allowed = list(definition["variants"].values())
    if any(_same(value, each) for each in allowed):
        return
    is_share = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100
    if not (_is_switch(definition) and is_share):
        percent = ", or a percentage" if _is_switch(definition) else ""
        msg = f"{name} is one of {', '.join(map(json.dumps, allowed))}{percent}"
        raise FlagValueError(msg)


def _is_switch(definition: Mapping[str, Any]) -> bool:
    return {type(each) for each in definition["variants"].values()} == {bool}


def _same(left: Any, right: Any) -> bool:
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def _rendered(definition: Mapping[str, Any], setting: Setting) -> dict[str, Any]:
    """Return the flagd definition that gives everybody what was set."""
    general = _rule(definition, setting.value)
    cases = [
        part
        for tenant, value in sorted(setting.tenants.items())
        for part in ({"==": [{"var": "tenant"}, tenant]}, _rule(definition, value))
    ]
    if not cases and isinstance(general, str):
        return {**definition, "defaultVariant": general}
    return {**definition, "targeting": {"if": [*cases, general]} if cases else general}


def _rule(definition: Mapping[str, Any], value: FlagValue) -> Any:
    for variant, held in definition["variants"].items():
        if _same(held, value):
            return variant
    on, off = (next(name for name, held in definition["variants"].items() if held is which) for which in (True, False))
    return {"fractional": [[on, value], [off, 100 - value]]}  # type: ignore[operator]
