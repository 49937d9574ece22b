"""Answers that are not what the caller hoped for, as one exception and one JSON shape."""

import json
import math

from aiohttp import web
from opentelemetry import trace

FAILED_DEPENDENCY_HEADER = "x-failed-dependency"
"""Names the dependency that made a healthy service answer 5xx: callers must not hold it against the service itself."""

STALE_HEADER = "x-stale"
"""Says that the answer is one of before, because the database could not be asked."""


class ApiError(Exception):
    """An answer with an error code that clients may rely on."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        retry_after_s: float | None = None,
        failed_dependency: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        self.failed_dependency = failed_dependency


def bad_request(message: str) -> ApiError:
    """Return the 400 that tells the client what to mend."""
    return ApiError(400, "bad_request", message)


def not_found(message: str) -> ApiError:
    """Return the 404 for something that the tenant does not have."""
    return ApiError(404, "not_found", message)


def deadline_exceeded() -> ApiError:
    """Return the 504 of a request whose deadline passed."""
    return ApiError(504, "deadline_exceeded", "the deadline of the request passed", retry_after_s=1.0)


def json_answer(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """Return a JSON response."""
    return web.Response(
        body=json.dumps(body, separators=(",", ":")).encode(),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def error_answer(error: ApiError) -> web.Response:
    """Return the JSON response of an error, with the trace in which to look it up."""
    body = {"error": error.code, "message": error.message, "trace_id": current_trace_id()}
    return json_answer(body, status=error.status, headers=_headers(error))


def current_trace_id() -> str:
    """Return the trace id of the running request, "" outside of one."""
    context = trace.get_current_span().get_span_context()
    return f"{context.trace_id:032x}" if context.is_valid else ""


def _headers(error: ApiError) -> dict[str, str]:
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
    if error.failed_dependency is not None:
        headers[FAILED_DEPENDENCY_HEADER] = error.failed_dependency
    return headers
