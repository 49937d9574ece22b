"""docs/reference/recording.md: the tables of a recording, and its events."""

import pyarrow as pa

from harness.model.run.events import Kind
from harness.recording.columns import NEVER_NULL, Table
from harness.recording.migrations import FORMAT
from harness.reference.markdown import code, page, sentence, table

_TYPES = {"fixed_size_binary[16]": "16 bytes", "fixed_size_binary[8]": "8 bytes", "double": "float64", "string": "text"}


def recording_page() -> str:
    """Return the page."""
    return page(
        "The recording",
        f"A recording is a folder of format {FORMAT}. Each table is a folder of Parquet files. "
        "Times are UTC nanoseconds.",
        "\n\n".join(_table(table_) for table_ in Table),
        "## events.jsonl",
        "One event a line: `time` (UTC nanoseconds), `kind`, and the fields of the kind. "
        "Kinds that a version does not know are kept and ignored.",
        table(("kind", "fields", "note"), [(code(kind.value), _fields(kind), sentence(kind.note)) for kind in Kind]),
    )


def _table(table_: Table) -> str:
    required = NEVER_NULL[table_]
    rows = [(code(c.name), _type(c.type), "no" if c.name in required else "yes", c.about) for c in table_.columns]
    return f"## {table_.value}/\n\n" + table(("column", "type", "may be null", "what it holds"), rows)


def _type(type_: pa.DataType) -> str:
    return _TYPES.get(str(type_), str(type_))


def _fields(kind: Kind) -> str:
    return ", ".join(f"{code(name)} ({about})" if about else code(name) for name, about in kind.fields.items())
