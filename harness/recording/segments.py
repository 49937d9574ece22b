"""The Parquet segments of a table: which there are, whether they are what a harness writes, and how they are opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from harness.model.errors import DamagedRecordingError
from harness.recording.columns import NEVER_NULL, OF_FORMAT_1, WORDS, Table
from harness.recording.files import is_regular

_ARROW_PROBLEMS = (pa.ArrowException, OSError, ValueError)  # ValueError: text that is not UTF-8, too


def segments_of(run: Path, table: Table) -> list[Path]:
    """Return the files of *table*, in order; a table that was never written has none."""
    folder = run / table.value
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DamagedRecordingError(folder, "it is not a folder")
    try:
        return sorted(path for path in folder.iterdir() if path.suffix == ".parquet") if folder.exists() else []
    except OSError as error:
        raise DamagedRecordingError(folder, error.strerror or str(error)) from None


def examine(run: Path, table: Table) -> None:
    """Read the footer of each segment; DamagedRecordingError names the first that is no segment of *table*."""
    for path in segments_of(run, table):
        if not is_regular(path):
            raise DamagedRecordingError(path, "it is not a regular file")
        with told(path), pq.ParquetFile(path) as file:
            problem = _problem(table, file.schema_arrow)
        if problem:
            raise DamagedRecordingError(path, problem)


def open_table(run: Path, table: Table) -> ds.Dataset | None:
    """Return the table, lazily; None where it was never written."""
    files = segments_of(run, table)
    if not files:
        return None
    words = [field.name for field in table.schema if _is_word(field)]
    options = ds.ParquetFileFormat(read_options=ds.ParquetReadOptions(dictionary_columns=words))
    schema = pa.schema(
        [(f.name, pa.dictionary(pa.int32(), pa.string()) if _is_word(f) else f.type) for f in table.schema]
    )
    with told(run / table.value):
        return ds.dataset([str(path) for path in files], format=options, schema=schema)


@contextmanager
def reading(run: Path, table: Table) -> Iterator[None]:
    """Tell of a segment that cannot be read by its name, where it can be found."""
    try:
        with told(run / table.value):
            yield
    except DamagedRecordingError:
        for path in segments_of(run, table):
            with told(path):
                check_values(table, pq.read_table(path))
        raise


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn whatever Arrow stumbles over into an error that names *path*."""
    try:
        yield
    except DamagedRecordingError:
        raise
    except _ARROW_PROBLEMS as error:
        raise DamagedRecordingError(path, f"it cannot be read: {_first_words(error)}") from None


def _first_words(error: Exception) -> str:
    """Return what Arrow says, without the path that is named already."""
    first = (str(error).splitlines() or [type(error).__name__])[0]
    return first.rpartition("': ")[2].rstrip(".")[:160]


def _problem(table: Table, schema: pa.Schema) -> str:
    """Look at names and types only: pyarrow ends the process where it is asked for the rest of a damaged footer."""
    for field in table.schema:
        number = schema.get_field_index(field.name)
        if number < 0:
            if field.name in OF_FORMAT_1[table]:
                return f"it has no column {field.name!r}"
        elif not _fits(schema.field(number).type, field.type):
            return f"its column {field.name!r} is {schema.field(number).type}, expected {field.type}"
    return ""


def check_values(table: Table, loaded: pa.Table | pa.RecordBatch) -> None:
    """Raise ValueError where the values cannot be what a harness wrote: text that is not UTF-8, rows without a time."""
    loaded.validate(full=True)
    for name in NEVER_NULL[table].intersection(loaded.schema.names):
        if lacking := loaded.column(name).null_count:
            msg = f"its column {name!r} lacks {lacking} values"
            raise ValueError(msg)


def _is_word(field: pa.Field) -> bool:
    return field.name in WORDS and field.type == pa.string()


def _fits(found: pa.DataType, expected: pa.DataType) -> bool:
    """Say whether a column can be read as *expected*: the same kind of value, in whatever width it was written."""
    if pa.types.is_null(found):
        return True
    plain = found.value_type if pa.types.is_dictionary(found) else found
    if pa.types.is_fixed_size_binary(expected):
        return bool(plain == expected)
    return next(bool(is_same(plain)) for is_same in _KINDS if is_same(expected))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


_KINDS = (_is_text, pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
