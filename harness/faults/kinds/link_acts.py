"""Faults in a proxy: toxics, rules, and links that are down. The gentle way back first, then ever rougher ones."""

import re
import time
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from harness.faults.proxy.proxy_calls import ProxyCallError, ProxyCalls, ProxyGoneError
from harness.faults.safety.acts import FaultAct
from harness.faults.safety.ours import address_problem

_LOOK_LIMIT_S = 0.5
_OUR_NAME = re.compile(r"fault-[A-Za-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class _InProxy(FaultAct):
    api: str
    proxy: str

    @property
    def place(self) -> str:
        return f"{self.proxy} ({self.api})"

    def problem(self, run: Path | None) -> str:  # noqa: ARG002
        return address_problem(self.api) or self._name_problem()

    def heal(self, deadline_s: float) -> str:
        calls = ProxyCalls(self.api, deadline_s)
        cause = ""
        try:
            for way in self._ways(calls):
                cause = self._attempt(way, calls)
                if not cause or time.monotonic() > deadline_s:
                    break
        except ProxyGoneError:
            return ""
        return cause

    def is_there(self) -> bool | None:
        try:
            return self._is_there(ProxyCalls(self.api, time.monotonic() + _LOOK_LIMIT_S))
        except (ProxyCallError, ProxyGoneError):
            return None

    def _attempt(self, way: Callable[[], None], calls: ProxyCalls) -> str:
        try:
            way()
            return "it was removed and is still there" if self._is_there(calls) else ""
        except ProxyCallError as error:
            return str(error)

    def _name_problem(self) -> str:
        return ""

    @abstractmethod
    def _ways(self, calls: ProxyCalls) -> Iterator[Callable[[], None]]: ...

    @abstractmethod
    def _is_there(self, calls: ProxyCalls) -> bool: ...


@dataclass(frozen=True, slots=True)
class ToxicPlaced(_InProxy):
    """A toxic with a fault's name in a proxy."""

    what: ClassVar[str] = "toxic"
    toxic: str

    def _name_problem(self) -> str:
        return _name_problem(self.toxic)

    def _ways(self, calls: ProxyCalls) -> Iterator[Callable[[], None]]:
        yield lambda: calls.remove_toxic(self.proxy, self.toxic)
        yield lambda: self._cut_and_remove(calls)  # a removal can hang on the connections that the toxic holds
        yield calls.reset

    def _cut_and_remove(self, calls: ProxyCalls) -> None:
        calls.set_enabled(self.proxy, enabled=False)
        try:
            calls.remove_toxic(self.proxy, self.toxic)
        finally:
            calls.set_enabled(self.proxy, enabled=True)

    def _is_there(self, calls: ProxyCalls) -> bool:
        return calls.has_toxic(self.proxy, self.toxic)


@dataclass(frozen=True, slots=True)
class LinkDown(_InProxy):
    """A proxy that was disabled."""

    what: ClassVar[str] = "down"

    def _ways(self, calls: ProxyCalls) -> Iterator[Callable[[], None]]:
        yield lambda: calls.set_enabled(self.proxy, enabled=True)
        yield calls.reset

    def _is_there(self, calls: ProxyCalls) -> bool:
        return not calls.is_enabled(self.proxy)


@dataclass(frozen=True, slots=True)
class RulePlaced(_InProxy):
    """A rule for single requests with a fault's name in the embedded proxy."""

    what: ClassVar[str] = "rule"
    rule: str

    def _name_problem(self) -> str:
        return _name_problem(self.rule)

    def _ways(self, calls: ProxyCalls) -> Iterator[Callable[[], None]]:
        yield lambda: calls.remove_rule(self.rule)
        yield calls.reset

    def _is_there(self, calls: ProxyCalls) -> bool:
        return calls.has_rule(self.rule)


def _name_problem(name: str) -> str:
    return "" if _OUR_NAME.fullmatch(name) else f"{name!r} in the proxy is not ours: no fault has that name"
