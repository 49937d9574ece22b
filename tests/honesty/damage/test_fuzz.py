"""However a recording is damaged, `harness check` ends in a documented exit code, and never holds what was changed."""

import io
import shutil
from contextlib import redirect_stderr, redirect_stdout

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.cli.main import main
from harness.model.errors import ExitCode
from harness.recording.manifest import hash_files, read_manifest, write_manifest
from harness.recording.strict_json import parse
from tests.recordings import Written

FILES = (
    "run.json",
    "events.jsonl",
    "requests/hand-00000.parquet",
    "spans/hand-00000.parquet",
    "metrics/hand-00000.parquet",
    "ledger/hand-00000.parquet",
)
WORDS = (b"", b"\x00", b"\xff", b"[]", b"{}", b"null", b"NaN", b"-1", b"1e999", b'"', b"\n", b"true", b"9" * 400)


@pytest.fixture(scope="module")
def pristine(tmp_path_factory):
    written = Written(tmp_path_factory.mktemp("pristine") / "run")
    written.load_as_planned()
    written.fault_of_the_plan()
    written.ledger("ok", "acme", "k")
    written.read()
    write_manifest(written.run, read_manifest(written.run).model_copy(update={"files": hash_files(written.run)}))
    return written.run


@st.composite
def damages(draw):
    """Return a function from the bytes of a file to other bytes."""
    where = draw(st.floats(0, 1, exclude_max=True))
    length = draw(st.integers(1, 64))
    word = draw(st.sampled_from(WORDS) | st.binary(max_size=32))
    how = draw(st.sampled_from(("flip", "cut", "drop", "insert", "replace", "repeat", "whole")))

    def apply(content):
        at = int(where * len(content))
        return {
            "flip": content[:at] + bytes([content[at] ^ (1 << length % 8)]) + content[at + 1 :] if content else b"x",
            "cut": content[:at],
            "drop": content[:at] + content[at + length :],
            "insert": content[:at] + word + content[at:],
            "replace": content[:at] + word + content[at + len(word) :],
            "repeat": content[:at] + content[at : at + length] * 2 + content[at + length :],
            "whole": word,
        }[how]

    return apply


def checked(run, *options):
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["check", str(run), *options])
    return code, out.getvalue() + err.getvalue()


def copied(pristine, name, damage):
    run = pristine.parent / "damaged"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(pristine, run)
    before = (run / name).read_bytes()
    after = damage(before)
    (run / name).write_bytes(after)
    return run, before, after


def says_the_same(name, before, after):
    """Layout of run.json does not count: only what it says is hashed."""
    if before == after:
        return True
    try:
        return name == "run.json" and parse(before) == parse(after)
    except ValueError:
        return False


FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FUZZ
@given(name=st.sampled_from(FILES), damage=damages())
def test_a_changed_recording_never_holds(pristine, name, damage):
    run, before, after = copied(pristine, name, damage)
    code, said = checked(run)
    assert code in ExitCode.__members__.values()
    assert "Traceback" not in said
    if not says_the_same(name, before, after):
        assert code != ExitCode.HELD
        if name != "run.json":
            assert code in (ExitCode.UNKNOWN, ExitCode.NOT_ROLLED_BACK)  # 5: the event that confirmed it is gone
            assert name in " ".join(said.split())


@FUZZ
@given(name=st.sampled_from(FILES), damage=damages())
def test_a_recording_that_is_trusted_or_was_never_hashed_ends_in_a_documented_code(pristine, name, damage):
    run, _, _ = copied(pristine, name, damage)
    code, said = checked(run, "--trust")
    assert code in ExitCode.__members__.values()
    assert "Traceback" not in said
    assert "a bug of the harness" not in said, said
