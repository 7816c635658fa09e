"""PlanDefinition $apply: from a pathway and a patient to a stored CarePlan with its steps, in one transaction.

R4 plandefinition-operation-apply.html; how this differs from it: docs/spec-clarifications/apply.md.
"""

from __future__ import annotations

from fhir_server.errors import operation_outcome
from fhir_server.interactions.answer import present, written
from fhir_server.interactions.exchange import Response
from fhir_server.model.json import encode
from fhir_server.operations.plans import Applying, drafts_of, plan_for, put_plan
from fhir_server.operations.plans_parameters import anchors_given, code_given, reference, side_given
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.scorer import StoreReading
from fhir_server.pathways.apply import AppliedPlan
from fhir_server.pathways.apply_request_group import as_request_group
from fhir_server.storage.base import StoredVersion, Transaction

REQUEST_GROUP = "requestgroup"
OUTPUTS = ("careplan", REQUEST_GROUP)
"""The plan as it is stored, and as R4's own $apply answers, with nothing stored."""


async def apply(call: OperationRequest) -> Response:
    """Raises BusinessRule (422) for a plan or a patient it cannot be applied to, ResourceNotFound, ResourceGone."""
    server = call.server
    reading = StoreReading(server.store, call.scope)
    definition = present(await reading.current(*call.target), *call.target)
    applied = await plan_for(server, reading, definition, _applying(call))
    if code_given(call, "output", OUTPUTS) == REQUEST_GROUP:
        plan = as_request_group(applied, server.settings.canonical_base)
        return _with_issues(Response(200, encode(plan)), applied)
    drafts = drafts_of(server, applied)

    async def work(transaction: Transaction) -> StoredVersion:
        return await put_plan(server, transaction, applied, drafts)

    care_plan = await server.store.write(call.scope, work)
    return _with_issues(written(call.request, care_plan, 201, applied.issues), applied)


def _with_issues(answer: Response, applied: AppliedPlan) -> Response:
    if applied.issues and answer.outcome is None:
        answer.outcome = operation_outcome(applied.issues)
    return answer


def _applying(call: OperationRequest) -> Applying:
    subject = reference(call, "subject")
    assert subject is not None
    return Applying(
        subject=subject,
        anchors={event: day for event, day in anchors_given(call).items() if day is not None},
        encounter=reference(call, "encounter"),
        practitioner=reference(call, "practitioner"),
        organization=reference(call, "organization"),
        referral=reference(call, "referral"),
        laterality=side_given(call),
    )
