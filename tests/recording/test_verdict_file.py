from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.model.errors import UsageError
from harness.model.files.scenario import Severity
from harness.model.result.finding import Cause, Evidence, Finding, How, Status, Verdict, Window
from harness.recording.verdict_file import read_verdict, write_verdict

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TIMES = st.integers(0, 2**62)
WINDOWS = st.builds(Window, TEXT, TIMES, TIMES)
FINDINGS = st.builds(
    Finding,
    check=TEXT,
    subject=TEXT,
    status=st.sampled_from(Status),
    value=TEXT,
    bound=TEXT,
    samples=st.integers(0, 10**9),
    window=st.none() | WINDOWS,
    severity=st.sampled_from(Severity),
    cause=st.none() | st.sampled_from(Cause),
    reason=TEXT,
    evidence=st.lists(st.builds(Evidence, TEXT, st.none() | TEXT), max_size=2).map(tuple),
    tenant=st.none() | TEXT,
    flow=st.none() | TEXT,
)
VERDICTS = st.builds(
    Verdict,
    status=st.sampled_from(Status),
    cause=st.none() | st.sampled_from(Cause),
    summary=TEXT,
    findings=st.lists(FINDINGS, max_size=3).map(tuple),
    rollback_confirmed=st.booleans(),
    how=st.sampled_from(How),
)


@given(verdict=VERDICTS)
def test_a_verdict_comes_back_exactly_as_it_was_written(tmp_path_factory, verdict):
    run: Path = tmp_path_factory.mktemp("run")
    write_verdict(run, verdict)
    assert read_verdict(run) == verdict


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "not judged yet"), ("{", "cannot be read"), ('{"status": "maybe"}', "cannot be read")],
)
def test_what_is_no_verdict_is_a_usage_error(tmp_path, content, message):
    if content is not None:
        (tmp_path / "verdict.json").write_text(content)
    with pytest.raises(UsageError, match=message):
        read_verdict(tmp_path)
