"""One declaration for each kind: everything else is derived from it, and nothing is left over."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml

from harness.faults import acts_catalogue
from harness.faults.acts_catalogue import acts_of, is_registered
from harness.faults.safety.acts import FaultAct
from harness.faults.table import BEGIN, table_of, with_table
from harness.model.files.fault_kinds.declared import BUILT_IN, every_kind, old_names
from harness.model.files.fault_kinds.row import Option, resolve
from harness.model.files.faults import Fault
from harness.model.files.old_names import deprecations
from harness.model.files.source import read_yaml

ROOT = Path(__file__).parents[2]


def acts_in(cls=FaultAct):
    """Return every act of the harness that can be made, from all that is imported."""
    for module in {reference.partition(":")[0] for kind in BUILT_IN for reference in kind.acts}:
        resolve(f"{module}:__name__")
    found = [cls, *(inner for child in cls.__subclasses__() for inner in acts_in(child))]
    return [act for act in found if act.__module__.startswith("harness.") and not act.__abstractmethods__]


def test_every_act_belongs_to_a_kind_and_is_found_by_its_name():
    declared = acts_of(BUILT_IN).values()
    written = {(act.__module__, act.__name__) for act in acts_in()}  # a class with slots is made twice
    assert {(act.__module__, act.__name__) for act in declared} == written
    assert all(is_registered(act) for act in declared)


def test_no_two_acts_and_no_two_kinds_share_a_name():
    for names in (
        [kind.name for kind in BUILT_IN] + list(old_names(BUILT_IN)),
        [act.what for act in {resolve(reference) for kind in BUILT_IN for reference in kind.acts}],
    ):
        assert [name for name, count in Counter(names).items() if count > 1] == []


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.name)
def test_a_declaration_names_code_that_exists_and_an_example_that_is_valid(kind):
    assert all(callable(resolve(reference)) for reference in (kind.make, kind.missing) if reference)
    fault = Fault.model_validate(yaml.safe_load(f"{{{kind.example}}}"))
    assert kind.name in fault.given
    assert isinstance(fault.spec, bool) == (kind.spec == "")
    assert all((kind.does, kind.observed, kind.rolled_back, kind.platforms))
    assert (Option.REPEAT in kind.options) or kind.name == "surge"


def test_the_model_has_a_field_for_each_kind_and_for_nothing_else():
    common = {"link", "service", "scope", "start", "duration", "ramp", "repeat", "toxicity", "stream"}
    assert set(Fault.model_fields) - common == set(every_kind())


def test_the_table_of_the_readme_is_that_of_the_declarations():
    text = (ROOT / "README.md").read_text()
    assert BEGIN in text
    assert with_table(text) == text
    assert "`respond`" in table_of(BUILT_IN)


def test_the_declarations_and_the_acts_import_little():
    heavy = "{'pydantic', 'pyarrow', 'requests', 'asyncio', 'asyncpg', 'nats', 'toxiproxy'}"
    code = "import sys; from harness.faults.acts_catalogue import act_named; act_named('toxic'); "
    code += f"print(sorted({heavy} & set(sys.modules)))"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
    assert "toxic" in acts_catalogue._built_in()


def test_old_names_in_a_file_are_noted_with_their_place(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("faults:\n  - {link: a -> b, hang: true}\n  - link: a -> b\n    answer: {status: 503}\n  - 7\n")
    assert deprecations(read_yaml(path)) == [
        f"{path}:2:20: 'hang' is an old name; write 'black_hole'",
        f"{path}:4:5: 'answer' is an old name; write 'respond'",
    ]
    path.write_text("- 1\n")
    assert deprecations(read_yaml(path)) == []
