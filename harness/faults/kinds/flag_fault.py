"""A feature flag flipped for a while, by the calls that target.yaml describes."""

import json
from typing import Any

from harness.faults.kinds.flag_acts import FlagCallError, FlagSet, FlagSourceGoneError, call, read_flag
from harness.faults.kinds.injector import UNKNOWN, Observed
from harness.faults.kinds.places import Places
from harness.faults.kinds.standing_fault import StandingFault, now_ns
from harness.faults.safety.safety import Safety
from harness.model.errors import HarnessError
from harness.model.files.fault_specs import FlagFlip
from harness.model.files.faults import Fault
from harness.model.files.target import Flags


class FlagFault(StandingFault):
    """A flag has another value.

    Observed: the flag's own service says that it holds it. Rolled back: the value from before is written back, and
    read.
    """

    def __init__(self, fault: Fault, *, name: str, places: Places, flags: Flags, safety: Safety) -> None:
        super().__init__(safety)
        assert fault.flag is not None
        self._flip = fault.flag
        self._name = name
        self._flags = flags
        self._places = places
        self._first_ns: int | None = None

    def apply(self) -> None:
        """Read the old value, journal how to write it back, flip."""
        flags, flip = self._flags, self._flip
        read_url = self._places.url_at(flags.service, _filled(flags.read, flip, flip.value))
        write_url = self._places.url_at(flags.service, _filled(flags.write.path, flip, flip.value))
        headers = json.dumps(flags.write.headers)
        try:
            before = read_flag(read_url, flags.value)
            back = json.dumps(_filled(flags.write.body, flip, before))
            self._write(
                FlagSet(
                    self._name,
                    flip.name,
                    read_url,
                    flags.value,
                    json.dumps(flip.value),
                    json.dumps(before),
                    flags.write.method,
                    write_url,
                    headers,
                    back,
                )
            )
            call(
                flags.write.method,
                write_url,
                json.dumps(_filled(flags.write.body, flip, flip.value)),
                flags.write.headers,
            )
        except (FlagCallError, FlagSourceGoneError) as problem:
            msg = f"{self._name}: flag {flip.name} cannot be set: {problem}"
            raise HarnessError(msg) from None
        self._first_ns = now_ns()

    def observed(self) -> Observed:
        """Return that one flag was flipped."""
        return (
            UNKNOWN if self._first_ns is None else Observed(touched=1, unit="flags", first_observed_ns=self._first_ns)
        )


def _filled(text: Any, flip: FlagFlip, value: Any) -> Any:
    """Fill in {flag}, {value} and {tenant}; what is nothing but a placeholder keeps the value's type."""
    values = {"{flag}": flip.name, "{value}": value, "{tenant}": flip.tenant}
    if isinstance(text, dict):
        return {name: filled for name, part in text.items() if (filled := _filled(part, flip, value)) is not None}
    if not isinstance(text, str):
        return text
    if text in values:
        return values[text]
    for placeholder, found in values.items():
        text = text.replace(placeholder, "" if found is None else str(found))
    return text
