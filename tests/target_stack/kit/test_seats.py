"""The seats of a tenant under every order of moves and deaths: one home at most, and never a lost tenant."""

from hypothesis import given
from hypothesis import strategies as st

from target_stack.kit.seats import Home, SeatRow, SeatState, Step, find_home
from target_stack.kit.tenancy import Tenancy


def play(seats, to, dies_after):
    """Move on by the steps of a move, as far as it lives; return where the tenant must be found."""
    home = settle(seats, find_home(seats, Tenancy.POOL))
    if home is to:
        return home
    epoch = seats[home].epoch + 1
    steps = (
        lambda: seats.__setitem__(to, SeatRow(SeatState.ARRIVING, home, epoch)),
        lambda: seats.__setitem__(home, SeatRow(SeatState.HERE, seats[home].other, epoch - 1, leaving=True)),
        lambda: seats.__setitem__(home, SeatRow(SeatState.MOVED, to, epoch)),
        lambda: seats.__setitem__(to, SeatRow(SeatState.HERE, home, epoch)),
    )
    for step in steps[:dies_after]:
        step()
    return to if dies_after >= 3 else home


def settle(seats, home):
    """What whoever finds the tenant does."""
    if home.step is Step.CREATE:
        seats[home.tenancy] = SeatRow(SeatState.HERE, home.tenancy, 0)
    elif home.step is Step.COMPLETE:
        row = seats[home.tenancy]
        seats[home.tenancy] = SeatRow(SeatState.HERE, row.other, row.epoch)
    return home.tenancy


@given(st.lists(st.tuples(st.sampled_from(Tenancy), st.integers(0, 4)), max_size=12))
def test_after_any_moves_and_deaths_the_tenant_is_where_the_last_switch_sent_it(moves):
    seats: dict[Tenancy, SeatRow] = {}
    settle(seats, find_home(seats, Tenancy.POOL))
    for to, dies_after in moves:
        expected = play(seats, to, dies_after)
        found = find_home(seats, Tenancy.POOL)
        assert found.tenancy is expected
        assert sum(row.state is SeatState.HERE for row in seats.values()) == (0 if found.step is Step.COMPLETE else 1)


def test_a_tenant_without_a_seat_starts_where_the_configuration_says():
    assert find_home({}, Tenancy.SILO) == Home(Tenancy.SILO, Step.CREATE)


def test_where_a_tenant_is_outweighs_where_it_was_configured():
    seats = {Tenancy.POOL: SeatRow(SeatState.HERE, Tenancy.POOL, 0)}
    assert find_home(seats, Tenancy.SILO) == Home(Tenancy.POOL, Step.NOTHING)
