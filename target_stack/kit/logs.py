"""Structured logs: one JSON object a line on standard output, bound to trace and tenant."""

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from typing import TextIO

from opentelemetry import trace

from target_stack.kit.call_context import current_tenant
from target_stack.kit.clock import Clock


class Log:
    """Writes the lines of one service."""

    def __init__(self, service: str, clock: Clock, stream: TextIO = sys.stdout) -> None:
        self._service = service
        self._clock = clock
        self._stream = stream

    def info(self, body: str, **fields: object) -> None:
        """Write what an operator may want to know."""
        self.write("INFO", body, fields)

    def warning(self, body: str, **fields: object) -> None:
        """Write what did not go as it should, although the service coped."""
        self.write("WARNING", body, fields)

    def error(self, body: str, **fields: object) -> None:
        """Write what somebody has to mend."""
        self.write("ERROR", body, fields)

    def exception(self, body: str, error: BaseException, **fields: object) -> None:
        """Write an error that nobody expected, with its traceback."""
        told = "".join(traceback.format_exception(error))
        self.write("ERROR", body, {"error": f"{type(error).__name__}: {error}", "exception": told} | fields)

    def write(self, severity: str, body: str, fields: dict[str, object]) -> None:
        """Write one line; the keys of *fields* win over those that are filled in."""
        span = trace.get_current_span().get_span_context()
        line = {
            "time": _rfc3339(self._clock.unix_ns()),
            "severity": severity,
            "service": self._service,
            "body": body,
            "trace_id": f"{span.trace_id:032x}" if span.is_valid else "",
            "span_id": f"{span.span_id:016x}" if span.is_valid else "",
            "tenant": current_tenant(),
        } | fields
        self._stream.write(json.dumps(line, default=str) + "\n")
        self._stream.flush()


class LibraryLogs(logging.Handler):
    """Brings the warnings of libraries into the same lines."""

    def __init__(self, log: Log) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, with its traceback if it has one."""
        fields: dict[str, object] = {"logger": record.name}
        if record.exc_info:
            fields["exception"] = logging.Formatter().formatException(record.exc_info)
        self._log.write(record.levelname, record.getMessage(), fields)


def capture_library_logs(log: Log) -> None:
    """Send the warnings of libraries to *log*, except the exporter's: a missing collector is no trouble of ours."""
    logging.basicConfig(handlers=[LibraryLogs(log)], level=logging.WARNING, force=True)
    for noisy in ("opentelemetry", "urllib3"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


def _rfc3339(unix_ns: int) -> str:
    seconds, ns = divmod(unix_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ns:09d}Z"
