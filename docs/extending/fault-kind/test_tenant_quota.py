"""The quota is lowered and restored, whoever is there to restore it."""

import pytest

from harness.faults.kinds.catalogue import Circumstances, injector_for
from harness.faults.plugins import load_plugins
from harness.faults.safety.journal import outstanding
from harness.faults.safety.safety import Safety
from harness.faults.safety.undo import undo_faults
from harness.model.files.faults import Fault
from harness.model.run.clock import SteadyClock


@pytest.fixture
def quota(tmp_path):
    file = tmp_path / "quota-acme"
    file.write_text("100")
    return file


@pytest.fixture
def safety(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    (tmp_path / "run").mkdir()
    safety = Safety(tmp_path / "run", run_id="run-1", lease_s=60, emit=lambda _: None, clock=SteadyClock())
    safety._start()
    yield safety
    safety._dismiss()


@pytest.fixture
def injector(quota, safety):
    load_plugins()
    fault = Fault.model_validate({"service": "orders", "tenant_quota": {"file": str(quota), "limit": 3}})
    return injector_for(fault, Circumstances("fault-1", None, None, safety))


def test_the_quota_is_lowered_and_restored(injector, quota):
    injector.apply()
    assert (injector.confirm(), injector.observed().touched, quota.read_text()) == (True, 1, "3")
    assert injector.undo() == ""
    assert quota.read_text() == "100"


def test_whoever_reads_the_journal_restores_it(injector, safety, quota):
    injector.apply()
    (undone,) = undo_faults(outstanding(safety.journal_path))
    assert undone.confirmed
    assert quota.read_text() == "100"
