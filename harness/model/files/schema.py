"""The JSON Schema that editors use: made from the models that validate, so the two cannot disagree."""

from typing import Any

from harness.model.base import Spec
from harness.model.files.units import format_duration, format_share

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema(model: type[Spec]) -> dict[str, Any]:
    """Return the published JSON Schema of a YAML file; defaults stand there as one would write them."""
    schema: dict[str, Any] = _as_written(model.model_json_schema())
    return {"$schema": DIALECT, **schema}


def _as_written(part: Any) -> Any:
    if isinstance(part, list):
        return [_as_written(item) for item in part]
    if not isinstance(part, dict):
        return part
    written = {key: _as_written(value) for key, value in part.items()}
    default = written.get("default")
    if written.get("type") == "string" and isinstance(default, float):
        written["default"] = format_share(default) if "%" in written.get("pattern", "") else format_duration(default)
    return written
