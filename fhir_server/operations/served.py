"""Every operation this server offers, one line each."""

from __future__ import annotations

from fhir_server.operations.apply import apply
from fhir_server.operations.everything import everything
from fhir_server.operations.export import export
from fhir_server.operations.imports import import_files
from fhir_server.operations.lastn import lastn
from fhir_server.operations.meta import meta, meta_add, meta_delete
from fhir_server.operations.populate import populate
from fhir_server.operations.purge import purge
from fhir_server.operations.referral import attend, book, discard, discharge, reopen, start_triage, waitlist, withdraw
from fhir_server.operations.referral_submit import submit
from fhir_server.operations.referral_triage import triage
from fhir_server.operations.registry import OperationRegistry, operation
from fhir_server.operations.reindex import reindex
from fhir_server.operations.replan import replan
from fhir_server.operations.rtt_clock import rtt_clock
from fhir_server.operations.score import score
from fhir_server.operations.score_batch import score_batch
from fhir_server.operations.score_history import score_history
from fhir_server.operations.timeline import timeline
from fhir_server.operations.validate import validate

OPERATIONS = (
    operation("OperationDefinition-CarePlan-replan.json", replan),
    operation("OperationDefinition-Observation-lastn.json", lastn, searches=True),
    operation("OperationDefinition-Patient-everything.json", everything),
    operation("OperationDefinition-Patient-score-history.json", score_history),
    operation("OperationDefinition-Patient-timeline.json", timeline),
    operation("OperationDefinition-PlanDefinition-apply.json", apply),
    operation("OperationDefinition-Questionnaire-populate.json", populate),
    operation("OperationDefinition-QuestionnaireResponse-score.json", score, also_get=True),
    operation("OperationDefinition-QuestionnaireResponse-score-batch.json", score_batch),
    operation("OperationDefinition-Resource-meta.json", meta, versioned=True),
    operation("OperationDefinition-Resource-meta-add.json", meta_add),
    operation("OperationDefinition-Resource-meta-delete.json", meta_delete),
    operation("OperationDefinition-Resource-purge.json", purge),
    operation("OperationDefinition-Resource-validate.json", validate),
    operation("OperationDefinition-EpisodeOfCare-rtt-clock.json", rtt_clock),
    operation("OperationDefinition-ServiceRequest-attend.json", attend),
    operation("OperationDefinition-ServiceRequest-book.json", book),
    operation("OperationDefinition-ServiceRequest-discard.json", discard),
    operation("OperationDefinition-ServiceRequest-discharge.json", discharge),
    operation("OperationDefinition-ServiceRequest-reopen.json", reopen),
    operation("OperationDefinition-ServiceRequest-start-triage.json", start_triage),
    operation("OperationDefinition-ServiceRequest-submit.json", submit),
    operation("OperationDefinition-ServiceRequest-triage.json", triage),
    operation("OperationDefinition-ServiceRequest-waitlist.json", waitlist),
    operation("OperationDefinition-ServiceRequest-withdraw.json", withdraw),
    operation("OperationDefinition-export.json", export),
    operation("OperationDefinition-Patient-export.json", export),
    operation("OperationDefinition-Group-export.json", export),
    operation("OperationDefinition-import.json", import_files),
    operation("OperationDefinition-reindex.json", reindex, also_get=True),
)


def served_operations(canonical_base: str) -> OperationRegistry:
    """The registry of all of them, their definitions under `canonical_base`."""
    return OperationRegistry(OPERATIONS, canonical_base)
