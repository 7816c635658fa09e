"""transaction: all entries or none (R4 http.html#trules).

Ids, references and index rows are worked out before the writer; in the writer conditions are evaluated and the
entries processed in R4's order: DELETE, POST, PUT and PATCH, then reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

from fhir_server.errors import FhirError, Issue, MethodNotAllowed, ResourceNotFound
from fhir_server.interactions.answer import written
from fhir_server.interactions.bundle import bundle
from fhir_server.interactions.bundle_entry import BundleEntry, answer_entry, read_entry, sent_entries
from fhir_server.interactions.condition import foresee, sole_match
from fhir_server.interactions.consequences import react
from fhir_server.interactions.delete import deleted, mark_deleted
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.interactions.integrity import check_references
from fhir_server.interactions.patch import patch_one
from fhir_server.interactions.prefer import preference
from fhir_server.interactions.questionnaire_answers import Forms, is_checked
from fhir_server.interactions.transaction_plan import Step, check_own_id, plan, redirect, refuse_overlap
from fhir_server.interactions.transaction_reads import TransactionReads
from fhir_server.interactions.update import put, refuse_taken_id
from fhir_server.model.reference import place_of
from fhir_server.storage.base import Store, Transaction
from fhir_server.terminology.reader import TransactionReader

Dispatch = Callable[[Server, Request], Awaitable[Response]]

PLANNED_INLINE = 100
"""Larger Bundles are planned in a thread, so that the event loop keeps answering others."""


async def transaction(server: Server, request: Request, sent: dict[str, Any], dispatch: Dispatch) -> Response:
    """A transaction-response Bundle in the order of the entries; a failure names its entry and nothing is written."""
    entries = [read_entry(request, index, entry) for index, entry in enumerate(sent_entries(server, sent))]
    _refuse_operations(entries)
    _read_by_get(entries)
    if len(entries) > PLANNED_INLINE:
        steps = await asyncio.to_thread(plan, server, entries)
    else:
        steps = plan(server, entries)
    await foresee(server, request, [condition for step in steps for condition in step.conditions])

    async def work(store: Transaction) -> list[bytes]:
        answers = await _Execution(server, store, steps).run()
        for entry in entries:
            if entry.index not in answers:
                answers[entry.index] = await _read(server, store, entry, dispatch)
        representation = preference(request, "return") == "representation"
        return [await answer_entry(entry, answers[entry.index], representation=representation) for entry in entries]

    return Response(200, bundle("transaction-response", await server.store.write(request.scope, work)))


def _refuse_operations(entries: list[BundleEntry]) -> None:
    for entry in entries:
        if "$" in entry.request.path:
            raise MethodNotAllowed(
                "An operation cannot be part of a transaction: call it by itself or in a batch.",
                expression=f"{entry.expression}.request.url",
                headers={"Allow": "POST"},
            )


def _read_by_get(entries: list[BundleEntry]) -> None:
    """POST _search is a read: it comes after the writes, as a GET."""
    for entry in entries:
        if entry.request.method == "POST" and entry.request.path.endswith("/_search"):
            entry.request.method = "GET"
            entry.request.path = entry.request.path.removesuffix("/_search")


async def _read(server: Server, store: Transaction, entry: BundleEntry, dispatch: Dispatch) -> Response:
    try:
        # Dispatching a GET asks no more of a Store than TransactionReads has.
        reads = cast("Store", TransactionReads(store, server.store))
        return await dispatch(replace(server, store=reads), entry.request)
    except FhirError as error:
        raise error.at(entry.expression) from error


class _Execution:
    """One run of the steps in the writer. The planned steps are not touched: the work may be run again."""

    def __init__(self, server: Server, store: Transaction, steps: list[Step]) -> None:
        self._server = server
        self._store = store
        self._steps = [replace(step) for step in steps]
        self._written = frozenset(step.target for step in steps if step.resource is not None)
        self._answers: dict[int, Response] = {}
        self._warnings: dict[int, list[Issue]] = {}

    async def run(self) -> dict[int, Response]:
        """The answers by entry index."""
        for step in self._of("DELETE"):
            await self._guarded(step, self._delete)
        await self._resolve_conditions()
        known = [(step.resource_type, step.logical_id) for step in self._of("PUT") if step.logical_id is not None]
        await self._store.versions(known, bodies=True)
        for step in (*self._of("POST"), *self._of("PUT", "PATCH")):
            if not step.lookups:
                await self._guarded(step, self._write)
        await self._write_referring([step for step in self._of("POST", "PUT") if step.lookups])
        await self._check_answers()
        await self._react()
        return self._answers

    async def _write_referring(self, steps: list[Step]) -> None:
        """Entries with conditional references come last: those may point at what this transaction writes.

        The outcome does not depend on the order of the entries (R4 http.html#trules): one that refers to another
        waits for it, and once all are written each reference must still select the same resource.
        """
        found: dict[int, dict[str, str]] = {}
        waiting = steps
        while waiting:
            later = []
            for step in waiting:
                targets, missing = await self._look_up(step)
                if missing is None:
                    found[step.entry.index] = targets
                    redirect(self._server, step, targets)
                    await self._guarded(step, self._write)
                else:
                    later.append((step, missing))
            if len(later) == len(waiting):
                step, missing = later[0]
                raise _refused_reference(step, missing, f"The conditional reference {missing} matches nothing.")
            waiting = [step for step, _ in later]
        for step in steps if len(steps) > 1 else ():
            again, _ = await self._look_up(step)
            for text, target in found[step.entry.index].items():
                if again.get(text) != target:
                    raise _refused_reference(step, text, f"{text} selects another resource once all is written.")

    async def _check_answers(self) -> None:
        """Once all is written: a Questionnaire may come in the same transaction, before or after its responses."""
        for step in self._steps:
            self._server.forms.written(step.resource_type)
        forms = Forms(self._server, TransactionReader(self._store))
        for step in self._steps:
            answer = self._answers[step.entry.index]
            found_instead = step.method == "POST" and answer.status == 200
            if step.resource is None or answer.version is None or found_instead:
                continue
            if is_checked(self._server, step.resource_type):
                try:
                    warnings = await forms.check(step.resource)
                except FhirError as error:
                    raise error.at(step.entry.expression) from error
                self._warnings[step.entry.index] = warnings
                self._answers[step.entry.index] = written(step.entry.request, answer.version, answer.status, warnings)

    async def _react(self) -> None:
        """Once all is written and checked, in the order of the entries."""
        for step in self._steps:
            answer = self._answers[step.entry.index]
            if answer.version is None:
                continue
            try:
                issues = await react(self._server, self._store, answer.version)
            except FhirError as error:
                raise error.at(step.entry.expression) from error
            if issues and step.method != "DELETE":
                known = self._warnings.get(step.entry.index, [])
                request = step.entry.request
                self._answers[step.entry.index] = written(request, answer.version, answer.status, [*known, *issues])

    def _of(self, *methods: str) -> list[Step]:
        return [step for step in self._steps if step.method in methods and step.entry.index not in self._answers]

    async def _guarded(self, step: Step, act: Callable[[Step], Awaitable[None]]) -> None:
        try:
            await act(step)
        except FhirError as error:
            raise error.at(step.entry.expression) from error

    async def _delete(self, step: Step) -> None:
        if step.condition is not None:
            match = await sole_match(self._server, self._store, step.condition)
            step.logical_id = match.logical_id if match else None
        gone = None
        if step.logical_id is not None:
            gone = await mark_deleted(step.entry.request, self._store, step.resource_type, step.logical_id)
        self._answers[step.entry.index] = deleted(step.entry.request, gone)

    async def _resolve_conditions(self) -> None:
        """Conditional creates, updates and patches find their resource, and references to it follow."""
        redirected: dict[str, str] = {}
        for step in self._of("POST", "PUT", "PATCH"):
            if step.condition is None:
                continue
            planned = step.target
            await self._guarded(step, self._resolve)
            if step.target != planned and step.method != "PATCH":
                redirected[planned] = step.target
        refuse_overlap(self._steps)
        if redirected:
            for step in self._of("POST", "PUT"):
                redirect(self._server, step, redirected)

    async def _resolve(self, step: Step) -> None:
        assert step.condition is not None
        match = await sole_match(self._server, self._store, step.condition)
        if match is None:
            if step.method == "PATCH":
                raise ResourceNotFound(f"No {step.resource_type} matches the criteria.")
            if step.sent_id is not None:
                await refuse_taken_id(self._store, step.resource_type, step.sent_id)
            return
        if step.method == "PATCH":
            step.logical_id = match.logical_id
            return
        if step.method == "PUT":
            check_own_id(step, match)
        else:
            self._answers[step.entry.index] = written(step.entry.request, match, 200)
        step.logical_id = match.logical_id

    async def _look_up(self, step: Step) -> tuple[dict[str, str], str | None]:
        """What the step's conditional references select; the first that selects nothing."""
        found: dict[str, str] = {}
        for text, condition in step.lookups.items():
            try:
                match = await sole_match(self._server, self._store, condition)
            except FhirError as error:
                raise error.located(_place(step, text)).at(step.entry.expression) from error
            if match is None:
                return found, text
            found[text] = f"{match.resource_type}/{match.logical_id}"
        return found, None

    async def _write(self, step: Step) -> None:
        request = step.entry.request
        assert step.logical_id is not None
        if step.method == "PATCH":
            target = (step.resource_type, step.logical_id)
            step.resource, version = await patch_one(self._server, request, self._store, target, step.patch)
            self._answers[step.entry.index] = written(request, version, 200)
            return
        assert step.draft is not None
        assert step.resource is not None
        await check_references(self._server, self._store, step.resource, self._written)
        if step.method == "POST":
            self._answers[step.entry.index] = written(request, await self._store.put(step.draft), 201)
        else:
            own_id = step.condition is not None and step.sent_id is None
            status, version = await put(self._server, request, self._store, step.draft, own_id=own_id)
            self._answers[step.entry.index] = written(request, version, status)


def _refused_reference(step: Step, text: str, diagnostics: str) -> FhirError:
    refusal = FhirError(diagnostics, status=412, code="not-found", expression=_place(step, text))
    return refusal.at(step.entry.expression)


def _place(step: Step, reference: str) -> str:
    # As it was sent: in the step's own resource the references already resolved are replaced.
    assert step.entry.request.resource is not None
    return place_of(step.entry.request.resource, reference)
