"""Long requests are carried out, fail and are taken over (operations/async_worker.py). Both engines."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import msgspec
import pytest

from fhir_server.errors import FhirError, Overloaded, TooCostly
from fhir_server.interactions import async_request
from fhir_server.interactions.exchange import Request, Response, Server
from fhir_server.interactions.router import dispatch
from fhir_server.model.json import encode
from fhir_server.operations import async_worker
from fhir_server.operations.async_worker import AsyncWorker, Step
from fhir_server.operations.score_batch import KIND, Plan, ScoreBatch
from fhir_server.storage.async_jobs import AsyncJob, Output, OutputFile
from fhir_server.storage.query import IdIn
from fhir_server.storage.scope import Scope
from tests.instruments.responses import response
from tests.operations.conftest import Json, Put, content

BASE_URL = "http://test.example/fhir"
ASYNC = {"prefer": "handling=strict, respond-async"}
STEPS = 3


@dataclass
class Counting:
    """Writes a line a step; at step `fails_at` it raises `error`, once."""

    error: BaseException | None = None
    fails_at: int = 1
    seen: list[int] = field(default_factory=list)

    async def step(self, server: Server, job: AsyncJob) -> Step | None:
        done = job.done
        self.seen.append(done)
        if self.error is not None and done == self.fails_at:
            error, self.error = self.error, None
            raise error
        if done == STEPS:
            return None
        return Step([Output("number", 1, b"%d\n" % done)], b"%d" % (done + 1), done + 1)


async def asked(server: Server, principal: str = "anonymous") -> str:
    """The id of a new request."""
    request = Request("POST", "$count", headers=ASYNC, base_url=BASE_URL, scope=Scope(principal))
    answer = await async_request.accept(server, request, "count", b"", STEPS)
    assert (answer.status, answer.headers["X-Progress"]) == (202, f"waiting: 0 of {STEPS}")
    return answer.headers["Content-Location"].removeprefix(f"{BASE_URL}/_async/")


async def get(server: Server, path: str, scope: Scope | None = None) -> Response:
    return await dispatch(server, Request("GET", f"_async/{path}", base_url=BASE_URL, scope=scope or Scope()))


async def lines(server: Server, job: str) -> bytes:
    body = (await get(server, f"{job}/number")).body
    assert not isinstance(body, bytes)
    return b"".join([piece async for piece in body])


async def test_it_is_carried_out_and_answered(server: Server) -> None:
    job = await asked(server)
    assert await AsyncWorker(server, {"count": Counting()}).run_next()
    manifest: Json = await content(await get(server, job))
    assert manifest["request"] == f"{BASE_URL}/$count"
    assert manifest["output"] == [{"type": "number", "url": f"{BASE_URL}/_async/{job}/number", "count": STEPS}]
    assert await lines(server, job) == b"0\n1\n2\n"
    assert not await AsyncWorker(server, {"count": Counting()}).run_next()


async def test_there_is_no_file_before_it_is_done(server: Server) -> None:
    job = await asked(server)
    with pytest.raises(Overloaded):
        await AsyncWorker(server, {"count": Counting(Overloaded("The database is away."))}).run_next()
    assert (await get(server, job)).headers["X-Progress"] == f"running: 1 of {STEPS}"
    with pytest.raises(FhirError) as refused:
        await get(server, f"{job}/number")
    assert refused.value.status == 404


async def test_another_process_goes_on_when_the_lease_ends(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_worker, "LEASE_SECONDS", 0.0)
    job = await asked(server)
    with pytest.raises(Overloaded):
        await AsyncWorker(server, {"count": Counting(Overloaded("The database is away."))}).run_next()
    second = Counting()
    assert await AsyncWorker(server, {"count": second}).run_next()
    assert second.seen == [1, 2, 3]
    assert await lines(server, job) == b"0\n1\n2\n"


async def test_nobody_takes_over_a_step_that_takes_long(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_worker, "LEASE_SECONDS", 0.3)
    await asked(server)
    others: list[bool] = []

    @dataclass
    class Long(Counting):
        async def step(self, server: Server, job: AsyncJob) -> Step | None:
            if job.done == 0:
                await asyncio.sleep(0.8)
                others.append(await AsyncWorker(server, {"count": Counting()}).run_next())
            return await super().step(server, job)

    work = Long()
    assert await AsyncWorker(server, {"count": work}).run_next()
    assert (others, work.seen) == ([False], [0, 1, 2, 3])


async def test_what_is_forgotten_is_discarded(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a job has made outside of the store goes with it, and nothing else."""
    gone: list[str] = []

    class Elsewhere:
        def manifest(self, job: AsyncJob, files: list[OutputFile], address: str) -> Json:
            return {}

        def file(self, job: AsyncJob, name: str) -> None:
            return None

        async def discard(self, job: AsyncJob) -> None:
            gone.append(job.id)

    server.made = {"count": Elsewhere()}
    old = await asked(server)
    assert await AsyncWorker(server, {"count": Counting()}).run_next()
    monkeypatch.setattr(async_worker, "KEPT_SECONDS", -1)
    assert not await AsyncWorker(server, {"count": Counting()}).run_next()
    cancelled = await asked(server)
    await dispatch(server, Request("DELETE", f"_async/{cancelled}", base_url=BASE_URL))
    assert gone == [old, cancelled]


async def test_a_process_that_stops_lets_go_at_once(server: Server) -> None:
    job = await asked(server)
    with pytest.raises(asyncio.CancelledError):
        await AsyncWorker(server, {"count": Counting(asyncio.CancelledError())}).run_next()
    assert await AsyncWorker(server, {"count": Counting()}).run_next()
    assert await lines(server, job) == b"0\n1\n2\n"


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [(TooCostly("Too many."), 422, "Too many."), (ValueError("secret"), 500, async_request.INTERNAL)],
)
async def test_what_cannot_be_finished_says_why(server: Server, error: Exception, status: int, text: str) -> None:
    job = await asked(server)
    assert await AsyncWorker(server, {"count": Counting(error)}).run_next()
    with pytest.raises(FhirError) as refused:
        await get(server, job)
    assert (refused.value.status, str(refused.value)) == (status, text)


async def test_one_that_is_cancelled_is_left_at_its_next_step(server: Server) -> None:
    job = await asked(server)

    @dataclass
    class Cancelled(Counting):
        async def step(self, server: Server, job: AsyncJob) -> Step | None:
            found = await super().step(server, job)
            if job.done == 1:
                await dispatch(server, Request("DELETE", f"_async/{job.id}", base_url=BASE_URL))
            return found

    work = Cancelled()
    assert await AsyncWorker(server, {"count": work}).run_next()
    assert work.seen == [0, 1]
    with pytest.raises(FhirError) as refused:
        await get(server, job)
    assert refused.value.status == 404


async def test_nobody_else_is_told(server: Server) -> None:
    job = await asked(server, "anna")
    with pytest.raises(FhirError) as refused:
        await get(server, job, Scope("boris"))
    assert refused.value.status == 404
    assert (await get(server, job, Scope("anna"))).status == 202


async def test_search_parameters_may_change_under_a_batch(server: Server, put: Put) -> None:
    """Another process stores a SearchParameter: what this one prepared with the older set is not stored as it is."""
    await put(response("oks", [4] * 12, id="r"))
    other = Server(server.store, server.settings)
    parameter = {
        "resourceType": "SearchParameter",
        "id": "eye",
        "url": "http://example.org/SearchParameter/eye",
        "name": "Eye",
        "status": "active",
        "description": "Eye colour",
        "code": "eye",
        "base": ["Patient"],
        "type": "string",
        "expression": "Patient.name.suffix",
    }
    sent = Request("PUT", "SearchParameter/eye", body=encode(parameter), base_url=BASE_URL)
    assert (await dispatch(other, sent)).status == 201
    plan = msgspec.json.encode(Plan(BASE_URL, persist=True, criteria="status=completed"))
    answer = await async_request.accept(server, Request("POST", "", headers=ASYNC, base_url=BASE_URL), KIND, plan)
    assert await AsyncWorker(server, {KIND: ScoreBatch()}).run_next()
    job = answer.headers["Content-Location"].removeprefix(f"{BASE_URL}/_async/")
    body = (await get(server, f"{job}/score")).body
    assert not isinstance(body, bytes)
    rows = [msgspec.json.decode(line) for line in b"".join([piece async for piece in body]).splitlines()]
    assert ("oks.total", 48, "final") in [(row["score"], row["value"], row["status"]) for row in rows]


async def test_too_many_are_refused(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_request, "MOST_UNFINISHED", 1)
    await asked(server)
    with pytest.raises(Overloaded) as refused:
        await asked(server)
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (429, "60")


async def test_who_may_not_see_everything_is_refused(server: Server) -> None:
    request = Request("POST", "$count", headers=ASYNC, base_url=BASE_URL, scope=Scope("anna", (IdIn((1,)),)))
    with pytest.raises(FhirError) as refused:
        await async_request.accept(server, request, "count", b"")
    assert refused.value.status == 403
