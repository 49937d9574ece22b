"""Logs of every shape become rows; none can stop the others."""

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.recording.columns import Table
from harness.telemetry.logs import collect_logs
from tests.telemetry.reading import rows

T_NS = 1_780_000_000 * 10**9  # 2026-05-28T20:26:40Z
CHANGED_NS = T_NS - 10**9
TRACE = "0af7651916cd43dd8448eb211c80319c"


def collected(run, lines, service="orders"):
    """Rows of one log file that was last changed a second before T_NS."""
    folder = run / "logs-raw"
    folder.mkdir(exist_ok=True)
    path = folder / f"{service}.log"
    path.write_bytes(b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines))
    os.utime(path, ns=(CHANGED_NS, CHANGED_NS))
    collect_logs(run)
    return list(rows(run, Table.LOGS).itertuples(index=False, name=None))


def structured(**fields):
    return json.dumps({"time": "2026-05-28T20:26:40.000000123Z", "severity": "INFO", "service": "orders", **fields})


@pytest.mark.parametrize(
    ("line", "row"),
    [
        (
            structured(body="took it", trace_id=TRACE, span_id="b7ad", tenant="acme", status=201, route="/orders"),
            (T_NS + 123, "orders", "INFO", "took it status=201 route=/orders", bytes.fromhex(TRACE), "acme"),
        ),
        (
            structured(body="x", trace_id="", tenant="", severity="warn"),
            (T_NS + 123, "orders", "WARNING", "x", None, None),
        ),
        (
            '{"timestamp": "2026-05-28T22:26:40.5+02:00", "level": "error", "message": "oh", "trace_id": "zz"}',
            (T_NS + 500_000_000, "orders", "ERROR", "oh", None, None),
        ),
        (
            "2026-05-28 20:26:40.123 UTC [77] LOG:  database system is ready",
            (T_NS + 123_000_000, "orders", "INFO", "database system is ready", None, None),
        ),
        (
            "2026-05-28 20:26:40.123 UTC [77] acme@orders FATAL:  no such role",
            (T_NS + 123_000_000, "orders", "FATAL", "no such role", None, None),
        ),
        (
            "2026-05-28 20:26:40,007 ERROR it broke",
            (T_NS + 7_000_000, "orders", "ERROR", "it broke", None, None),
        ),
        ("[WARNING] mind the gap", (CHANGED_NS, "orders", "WARNING", "mind the gap", None, None)),
        (
            "Traceback (most recent call last):",
            (CHANGED_NS, "orders", "INFO", "Traceback (most recent call last):", None, None),
        ),
        ('{"cut": ', (CHANGED_NS, "orders", "INFO", '{"cut":', None, None)),
        (b"caf\xe9", (CHANGED_NS, "orders", "INFO", "caf\ufffd", None, None)),
    ],
)
def test_a_line_and_its_row(tmp_path, line, row):
    assert collected(tmp_path, [line]) == [row]


def test_a_line_without_a_time_has_that_of_the_one_before(tmp_path):
    lines = ["first", structured(body="second"), "  third", "", structured(body="fourth", time="never")]
    found = [(time_ns, body) for time_ns, _, _, body, _, _ in collected(tmp_path, lines)]
    assert found == [(CHANGED_NS, "first"), (T_NS + 123, "second"), (T_NS + 123, "  third"), (T_NS + 123, "fourth")]


def test_each_file_is_a_service(tmp_path):
    collected(tmp_path, ["a"], service="orders")
    (tmp_path / "logs" / "services-00000.parquet").unlink()
    assert {row[1] for row in collected(tmp_path, ["b"], service="orders-db")} == {"orders", "orders-db"}


def test_a_very_long_line_is_cut_into_several(tmp_path):
    found = collected(tmp_path, ["x" * 200_000])
    assert "".join(row[3] for row in found) == "x" * 200_000
    assert len(found) == 4


def test_a_run_without_logs_has_none(tmp_path):
    collect_logs(tmp_path)
    assert len(rows(tmp_path, Table.LOGS)) == 0


@given(st.binary())
def test_any_bytes_can_be_collected(tmp_path_factory, content):
    run = tmp_path_factory.mktemp("run")
    (run / "logs-raw").mkdir()
    (run / "logs-raw" / "service.log").write_bytes(content)
    collect_logs(run)


@given(
    st.dictionaries(
        st.sampled_from(["time", "body", "severity", "tenant", "trace_id"]), st.none() | st.text() | st.integers()
    )
)
def test_any_fields_can_be_collected(tmp_path_factory, content):
    run = tmp_path_factory.mktemp("run")
    (run / "logs-raw").mkdir()
    (run / "logs-raw" / "service.log").write_text(json.dumps(content))
    collect_logs(run)
    assert len(rows(run, Table.LOGS)) == 1
