"""Was every fault there for its time, do the calls that met it show it, and did it meet those whom the claim is about?

Each fault gets one finding. What falls short is `unknown: not observed`, with the numbers: a fault that was not there,
or was there and did nothing, puts nothing to the test.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.checks.surge import surge_observed
from harness.evidence.facts import Facts
from harness.evidence.observed.account import LEAST_OF_CALLS, LEAST_OF_WINDOW, Account
from harness.evidence.observed.effects import effect_of
from harness.evidence.observed.under import is_rule, must_show, scope_is_known
from harness.model.files.units import Bound
from harness.model.result.finding import Cause, Finding, Measured, Status

_ENOUGH_CALLS = 3
_LIMIT = Bound(">=", LEAST_OF_WINDOW, "%")


@dataclass(frozen=True, slots=True)
class _Lack:
    """What is missing, in one sentence, and the share that falls short of the limit, where it is one."""

    reason: str
    share: float | None = None


def fault_observed(facts: Facts) -> Iterator[Finding]:
    """Judge every fault of the plan."""
    accounts = [Account(facts, number) for number in range(len(facts.plan.scenario.faults))]
    for account in accounts:
        if account.fault.surge:
            yield surge_observed(facts, account.number, account.fault.surge)
        else:
            yield _finding(account, _lack(account, accounts))


def _finding(account: Account, lack: _Lack | None) -> Finding:
    share = _least_share(account) if lack is None else lack.share
    return Finding(
        check="",
        subject=f"{account.name} on {account.fault.place}",
        status=Status.PASS if lack is None else Status.UNKNOWN,
        value=_value(account),
        bound=f">= {LEAST_OF_WINDOW:.0%} of its window, shown by >= {LEAST_OF_CALLS:.0%} of the calls",
        samples=account.under.begun if account.has_spans else max(account.count.requests, account.count.touched, 0),
        window=account.facts.fault_window(account.number),
        cause=None if lack is None else Cause.NOT_OBSERVED,
        reason=lack.reason if lack else "",
        link=account.fault.link,
        measure=account.name,
        measured=None if share is None else Measured.of(share, "%"),
        limit=_LIMIT,
    )


def _least_share(account: Account) -> float:
    """Return the smaller one of the two shares, of its window and of its calls."""
    under = account.under
    judged = account.has_spans and must_show(account.fault) and scope_is_known(account.fault) and under.begun
    return min(account.presence.share, under.shown / under.begun if judged else 1.0)


# -- what is missing, gravest first ------------------------------------------------------------------------------------


def _lack(account: Account, accounts: list[Account]) -> _Lack | None:
    return (
        _absent(account)
        or _uncounted(account)
        or (_unseen(account) if account.has_spans else _without_effect(account))
        or _beside_the_claim(account, accounts)
    )


def _absent(account: Account) -> _Lack | None:
    presence, planned = account.presence, len(account.presence.planned)
    came = presence.came(LEAST_OF_WINDOW, at_once=account.at_once)
    if came >= LEAST_OF_WINDOW * planned:
        return None
    if not presence.begun:
        return _Lack("It was never there.", 0.0)
    share = presence.share if planned == 1 else came / planned
    times = "" if planned == 1 else f" {came} of {planned} times it came for its whole time."
    lifted = f" It was lifted by {_whom(presence.lifted_by)}." if presence.lifted_by else ""
    found = f" Found in its place: {presence.found}." if presence.found else ""
    there = f"It was there for {presence.there_s:.1f} of {presence.planned_s:.1f} s ({presence.share:.0%})."
    return _Lack(f"{there}{times}{lifted}{found}", share)


def _whom(by: str) -> str:
    return by if by == "somebody" else f"the {by}"


def _uncounted(account: Account) -> _Lack | None:
    """Whoever made it counts what it touched; a link's proxy that counts nothing leaves it to the calls."""
    fault, count = account.fault, account.count
    if is_rule(fault):
        return _Lack(f"No request on {fault.place} was in its scope.") if count.requests <= 0 else _too_few_hit(account)
    if fault.link is None:
        return _Lack(f"It touched nothing of {fault.place}.") if count.touched <= 0 else None
    if count.touched == 0:
        return _Lack(f"The kernel dropped nothing on {fault.link}.")
    if count.traffic == 0 or (count.traffic < 0 and count.touched < 0 and not account.facts.spans):
        return _Lack(f"Nothing passed over {fault.link} under the fault: give a flow that uses it some load.")
    return None


def _too_few_hit(account: Account) -> _Lack | None:
    """A rule for the next n requests must have found them; one for all requests of its scope must have hit them."""
    fault, hits = account.fault, account.count.requests
    wanted = fault.scope.next if fault.scope else None
    if wanted and hits < LEAST_OF_CALLS * wanted * len(account.presence.planned):
        return _Lack(f"It hit {hits:,} of the next {wanted:,} requests.", hits / wanted)
    if account.has_spans and scope_is_known(fault) and hits < account.under.needed(fault, LEAST_OF_CALLS):
        return _Lack(f"It hit {hits:,} of {account.under.begun:,} calls.", hits / account.under.begun)
    return None


def _unseen(account: Account) -> _Lack | None:
    fault, under = account.fault, account.under
    if not under.begun and not under.waiting:
        if under.refused:
            return _Lack(
                f"All calls were refused before they met it ({under.refused:,}): the breaker was open already."
            )
        who = f"Nothing passed over {fault.link}" if fault.link else f"Nobody called {fault.place}"
        return _Lack(f"{who} while the fault was there: give a flow that uses it some load.")
    if not must_show(fault):
        return None
    needed = under.needed(fault, LEAST_OF_CALLS) if scope_is_known(fault) else 1.0
    if under.shown >= needed:
        return _repetitions_without_effect(account)
    share = under.shown / under.begun if under.begun else 0.0
    told = f"{under.shown:,} of {under.begun:,} calls show it: a call that meets it {effect_of(fault).value}."
    return _Lack(f"{told} Does another fault hide it, or did it not have the strength that was asked for?", share)


def _repetitions_without_effect(account: Account) -> _Lack | None:
    """Each time that it came it must have shown, where calls enough were there to see it."""
    looked = [(able, shown) for able, shown in account.under.times if able >= _ENOUGH_CALLS]
    showing = sum(shown > 0 for _, shown in looked)
    if not looked or showing >= LEAST_OF_CALLS * len(looked) or not scope_is_known(account.fault):
        return None
    told = f"It came {len(account.under.times)} times; calls show it in {showing} of {len(looked)}."
    return _Lack(told, showing / len(looked))


def _without_effect(account: Account) -> _Lack | None:
    """Without spans the requests themselves must have changed, where a fault of this kind has to show."""
    fault = account.fault
    if not account.links or not must_show(fault) or account.facts.spans or account.changed_requests:
        return None
    if fault.kind == "down" and account.count.connections > 0:
        return None  # these connections were cut
    if is_rule(fault) and not account.facts.victims:
        return None  # the proxy saw the requests that it touched
    if fault.toxicity < 1.0:
        return None
    whom = "the victims' requests" if account.facts.victims else "anybody's requests"
    return _Lack(f"It was there, and nothing of {whom} changed: no call shows it. Does the target export its traces?")


def _beside_the_claim(account: Account, accounts: list[Account]) -> _Lack | None:
    """The claim is about the victims: one of the faults at least must have met a request of theirs."""
    if any(other.reaches_victims is not False for other in (account, *accounts)):
        return None
    whose = ", ".join(dict.fromkeys(pair.tenant for pair in account.facts.victims))
    place = account.fault.place
    return _Lack(f"No request of {whose} met it: the blast radius names others than those who use {place}.", 0.0)


# -- the numbers in words ----------------------------------------------------------------------------------------------


def _value(account: Account) -> str:
    presence, planned = account.presence, len(account.presence.planned)
    came = presence.came(LEAST_OF_WINDOW, at_once=account.at_once)
    there = f"there for {presence.there_s:.1f} of {presence.planned_s:.1f} s"
    if planned > 1:
        there = f"came {came} of {planned} times"
    elif account.at_once and presence.begun:
        there = f"came at {account.facts.offset_s(presence.begun[0]):.1f} s"
    return ", ".join([there, *_counted(account), *_calls(account), *_reached(account)])


def _counted(account: Account) -> Iterator[str]:
    count = account.count
    if count.requests >= 0:
        yield f"{count.requests:,} requests hit" + (f" ({count.tenants})" if count.tenants else "")
    if count.touched >= 0:
        yield f"{count.touched:,} {count.unit} touched"
    if account.fault.link and count.connections >= 0 and count.requests < 0:
        yield f"{count.connections:,} connections"


def _calls(account: Account) -> Iterator[str]:
    if not account.has_spans:
        return
    under = account.under
    yield f"{under.shown:,} of {under.begun:,} calls show it" if must_show(account.fault) else f"{under.begun:,} calls"
    if under.refused:
        yield f"{under.refused:,} refused"


def _reached(account: Account) -> Iterator[str]:
    for reach in account.reach:
        yield f"{reach.met:,} of {reach.requests:,} requests of {reach.tenant} met it"
