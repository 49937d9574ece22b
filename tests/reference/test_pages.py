"""The reference pages are made from the code, and say something of everything."""

from pathlib import Path

import pytest

from harness.model.files.check_kinds.declared import BUILT_IN
from harness.model.files.checks import CheckSpec
from harness.model.files.parameters import parameters_in
from harness.model.files.schema import json_schema
from harness.model.run.events import Kind
from harness.recording.columns import Table
from harness.reference.pages import PAGES

FOLDER = Path(__file__).parents[2] / "docs" / "reference"
COMMAND = "python -m harness.reference docs/reference"


@pytest.mark.parametrize("name", PAGES)
def test_the_committed_page_is_the_one_that_the_code_makes(name):
    assert (FOLDER / name).read_text(encoding="utf-8") == PAGES[name](), f"run `{COMMAND}`"


def test_there_is_no_other_page():
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)


@pytest.mark.parametrize("kind", BUILT_IN, ids=lambda kind: kind.name)
def test_every_key_of_a_check_says_what_it_is(kind):
    parameters = parameters_in(json_schema(CheckSpec), kind.name)
    assert [parameter.name for parameter in parameters if "." in parameter.name and not parameter.about] == []


def test_every_column_and_every_event_says_what_it_holds():
    assert [column.name for table in Table for column in table.columns if not column.about.endswith(".")] == []
    assert [kind.value for kind in Kind if not all(name.isidentifier() for name in kind.fields)] == []
