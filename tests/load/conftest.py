"""What the tests of the load without a process share."""

import pytest

from tests.load.fake_clock import FakeClock


@pytest.fixture
def clock():
    return FakeClock()
