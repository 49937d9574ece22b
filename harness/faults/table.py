"""The table of fault kinds in the README, made from their declarations; a test compares.

python -m harness.faults.table README.md     writes it there, between its marks
"""

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from harness.model.files.fault_kinds.declared import BUILT_IN
from harness.model.files.fault_kinds.row import FaultKind, Place
from harness.model.run.capabilities import Capability

BEGIN, END = "<!-- made by `python -m harness.faults.table README.md` -->", "<!-- end of the faults -->"
_SCOPED = ", each for all requests or for a `scope:` of tenant, method, route, header, share, next n, trace"
_ON = {
    Place.LINK: "a link, every connection",
    Place.REQUEST: "a link, single requests",
    Place.SERVICE: "a service",
    Place.DATABASE: "a database",
    Place.BROKER: "a broker",
    Place.FLAG: "a feature flag",
    Place.LOAD: "the load of a tenant",
}


def table_of(kinds: Iterable[FaultKind]) -> str:
    """Return the table, one row for each place; kinds that no machine can do yet are left out."""
    made = [kind for kind in kinds if not kind.make.endswith(":not_available")]
    rows = [f"| {place} | {_named(made, at)} |" for at, place in _ON.items()]
    return "\n".join(["| a fault on | kinds |", "|---|---|", *rows])


def _named(kinds: Iterable[FaultKind], place: Place) -> str:
    there = [kind for kind in kinds if kind.place is place]
    names = " ".join(f"`{kind.name}`" for kind in there if Capability.PACKET_FILTER not in kind.needs)
    in_kernel = " ".join(f"`{kind.name}`" for kind in there if Capability.PACKET_FILTER in kind.needs)
    with_kernel = f"{names}; where the kernel allows it {in_kernel}" if in_kernel else names
    return with_kernel + (_SCOPED if place is Place.REQUEST else "")


def with_table(text: str) -> str:
    """Return *text* with the table of today between its marks."""
    block = f"{BEGIN}\n{table_of(BUILT_IN)}\n{END}"
    return re.sub(f"{re.escape(BEGIN)}.*?{re.escape(END)}", lambda _: block, text, flags=re.DOTALL)


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(with_table(page.read_text(encoding="utf-8")), encoding="utf-8")
