"""What can never be in the workflow of a patient, whatever was done: pure functions over stored resources.

`violations` is what `fhir-server check` asks of every patient; each rule is one function of the modules below.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fhir_server.pathways.invariants import answers, moves, plans, referrals, steps
from fhir_server.pathways.invariants.record import Moment, Record, Violation, name

Rule = Callable[[Record, Moment], Iterator[Violation]]

RULES: tuple[Rule, ...] = (
    plans.activities_exist,
    plans.steps_are_named,
    plans.actions_are_made_once,
    plans.ended_plans_rest,
    plans.one_plan_of_a_pathway,
    plans.stood_down_patients_rest,
    steps.states_fit_windows,
    steps.ends_are_told,
    steps.windows_follow_anchors,
    moves.steps_moved_legally,
    moves.ends_are_final,
    answers.responses_answer_their_steps,
    answers.responses_are_of_one_step,
    answers.responses_are_scored,
    answers.reminders_are_few,
    referrals.referrals_are_whole,
    referrals.statuses_agree,
    referrals.moves_were_legal,
    referrals.clocks_agree,
    referrals.ended_referrals_rest,
)


def violations(record: Record, moment: Moment) -> Iterator[Violation]:
    """Everything about one patient that cannot be; what a rule cannot read is a finding too, and hides no other."""
    baffled = []
    for rule in RULES:
        try:
            yield from rule(record, moment)
        except (AttributeError, KeyError, TypeError, ValueError):
            baffled.append(rule.__name__)
    if baffled:
        told = f"what is stored of the patient cannot be read by {', '.join(baffled)}"
        yield Violation(name(record.patient), "unreadable", told)
