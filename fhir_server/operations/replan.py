"""CarePlan $replan: an event of the pathway moved, so the open steps move with it; what is over stays as it is."""

from __future__ import annotations

from datetime import date

from fhir_server.errors import BusinessRule, Issue, operation_outcome
from fhir_server.interactions.answer import present, written
from fhir_server.interactions.exchange import Response
from fhir_server.interactions.preconditions import check_if_match
from fhir_server.operations.plans import settle_plan
from fhir_server.operations.plans_parameters import anchors_given
from fhir_server.operations.plans_stored import living_patient
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.stored import content_of
from fhir_server.storage.base import StoredVersion, Transaction


async def replan(call: OperationRequest) -> Response:
    """Raises VersionConflict (412), BusinessRule (422), ResourceNotFound, ResourceGone."""
    anchors = anchors_given(call)
    reason = str(call.one("reason") or _reason(anchors))

    async def work(transaction: Transaction) -> tuple[StoredVersion, list[Issue]]:
        stored = present(await transaction.current(*call.target), *call.target)
        check_if_match(call.request, stored)
        plan = content_of(stored)
        if plan["status"] != "active":
            raise BusinessRule(
                f"The plan is {plan['status']}: only an active one can be replanned.", expression="CarePlan.status"
            )
        subject = plan["subject"].get("reference", "")
        if subject.startswith("Patient/"):
            await living_patient(transaction, subject, "CarePlan.subject")
        settled = await settle_plan(call.server, transaction, plan, anchors=anchors, reason=reason)
        return present(await transaction.current(*call.target), *call.target), settled.issues

    version, issues = await call.server.store.write(call.scope, work)
    answer = written(call.request, version, 200, issues)
    if issues and answer.outcome is None:
        answer.outcome = operation_outcome(issues)
    return answer


def _reason(anchors: dict[str, date | None]) -> str:
    """What to say when the caller gives none."""
    moved = [f"{event} {'did not happen' if day is None else day}" for event, day in anchors.items()]
    return f"Dates moved: {', '.join(moved)}." if moved else "Steps settled again."
