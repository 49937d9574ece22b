import os

import pytest

from target_stack.kit.tenancy import Tenancy
from target_stack.kit.tenant_wishes import WishFile


@pytest.fixture
def wishes(tmp_path):
    path = tmp_path / "tenancy.json"
    file = WishFile(path)
    file.write("initech", Tenancy.SILO)
    assert file("initech") is Tenancy.SILO

    def say(text):
        path.write_text(text)
        os.utime(path, ns=(1, path.stat().st_mtime_ns + 1_000_000))
        return file

    return say


@pytest.mark.parametrize(
    "text", ["[]", "null", "5", "", "{", '{"initech": null}', '{"initech": "moon"}', '{"initech": 5}', "[" * 100_000]
)
def test_a_document_that_makes_no_sense_takes_nobody_back(wishes, text):
    assert wishes(text)("initech") is Tenancy.SILO


def test_a_wish_that_is_withdrawn_is_gone(wishes):
    assert wishes("{}")("initech") is None


def test_a_file_that_is_gone_holds_no_wish(wishes, tmp_path):
    file = wishes("{}")
    (tmp_path / "tenancy.json").unlink()
    assert file("initech") is None
