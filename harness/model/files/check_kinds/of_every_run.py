"""Checks that every run gets, asked for or not; isolation only where the scenario does not ask for it itself."""

from dataclasses import replace

from harness.model.files.check_kinds.on_data import ISOLATION
from harness.model.files.check_kinds.row import OUTWEIGHED, CheckKind
from harness.model.result.signal import Signal

_REQUESTS = frozenset({Signal.REQUESTS})

OF_EVERY_RUN: tuple[CheckKind, ...] = (
    CheckKind(
        name="fault_applied",
        judge="harness.checks.faults:fault_applied",
        passes="every fault was applied and read back",
        fails="never: a fault that was not there decides nothing",
        unknown="a fault was not applied",
    ),
    CheckKind(
        name="fault_observed",
        judge="harness.checks.fault_observed:fault_observed",
        passes="every fault was there for its window, and the calls that met it show it",
        fails="never: a fault that was not observed decides nothing",
        unknown="a fault was not observed in its window, in its strength, or by those whom the claim is about",
    ),
    CheckKind(
        name="load_delivered",
        judge="harness.checks.load:load_delivered",
        passes="each tenant's flow had the load that was planned, in every phase",
        fails="never: another load decides nothing",
        unknown="the load differed from the plan",
    ),
    CheckKind(
        name="generator_kept_up",
        judge="harness.checks.load:generator_kept_up",
        passes="requests were sent when they were due",
        fails="requests were sent late; only a warning",
        unknown="they were so late that the planned load was not delivered",
    ),
    CheckKind(
        name="recording_whole",
        judge="harness.checks.catalogue:whole_as_asked",
        passes="what was sent, called and scraped is in the recording",
        fails="never: what is missing decides nothing",
        unknown="more of a signal is missing than checks can do without",
    ),
    CheckKind(
        name="services_stayed_up",
        judge="harness.checks.whole:services_stayed_up",
        passes="never: it has a finding only where a service exited that no fault had killed",
        fails="it exited by itself under the fault or after it",
        unknown="it exited before the fault, or was killed from outside",
    ),
    CheckKind(
        name="steady_before",
        judge="harness.checks.steady:steady_before",
        passes="every tenant's flow kept its objectives before the fault",
        fails="never: a target that was in trouble before the fault proves nothing",
        unknown="a flow was beyond its objectives before the fault",
        stands_on=_REQUESTS,
    ),
    CheckKind(
        name="blast_radius",
        judge="harness.checks.blast_radius:blast_radius",
        passes="victims are hurt no more than the scenario allows, and bystanders keep their objectives",
        fails="somebody is hurt more than that",
        unknown="too few requests were made to tell",
        stands_on=_REQUESTS,
        by_absence=OUTWEIGHED,
    ),
    CheckKind(
        name="answers",
        judge="harness.checks.answers:answers",
        passes="never: it has a finding only where an answer is wrong",
        fails="a flow under the fault gives a definitive answer that it did not give before",
        stands_on=_REQUESTS,
    ),
    CheckKind(
        name="rollback",
        judge="harness.checks.rollback:rollback",
        final=True,
        passes="every fault was rolled back, and that was read back",
        fails="a rollback is not confirmed: exit code 5",
    ),
    CheckKind(
        name="guardrail",
        judge="harness.checks.guardrail:guardrail",
        final=True,
        passes="never: a guardrail that did not trip is no evidence",
        fails="a guardrail tripped",
    ),
    CheckKind(
        name="steady_after",
        judge="harness.checks.objective:steady_after",
        passes="every tenant's flow keeps its objectives at the end of the recovery phase",
        fails="a flow is beyond its objectives there",
        unknown="too few requests were made to tell",
        stands_on=_REQUESTS,
        by_absence=OUTWEIGHED,
    ),
    replace(ISOLATION, spec=None),
)
