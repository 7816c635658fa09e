"""Load resources from files: prepared in worker processes, written in large groups by this one.

Each resource is stored as it is under its own id; storing the same again makes no new version. Results
come in the order of the files, so the last of several with one id is the current one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import msgspec

from fhir_server.bulk.prepare import Accepted, Executable, Options, Prepared, Refused, decode_batch
from fhir_server.bulk.preparers import Preparers
from fhir_server.bulk.refusal import Refusal
from fhir_server.bulk.source import Batch, Source
from fhir_server.errors import BusinessRule, Conflict, FhirError, Issue
from fhir_server.interactions.current_registry import refresh, with_current_registry
from fhir_server.interactions.draft import indexed_again, resource_of
from fhir_server.interactions.exchange import FHIR_JSON, Request, Response, Server
from fhir_server.interactions.questionnaire_answers import Forms, is_checked
from fhir_server.interactions.router import dispatch
from fhir_server.interactions.update import put
from fhir_server.model.instant import format_instant, now
from fhir_server.storage.base import Draft, Transaction
from fhir_server.storage.scope import ALL
from fhir_server.terminology.reader import TransactionReader

BATCHES_AHEAD = 2
"""Prepared or being prepared per worker, waiting for the writer."""
_UPDATE = Request("PUT", "")


@lru_cache(maxsize=16)
def _whole_path(file: Path) -> Path:
    return file.resolve()


@dataclass(frozen=True, slots=True)
class Manner:
    """How resources are loaded."""

    execute: bool = False
    """Carry out Bundles of type batch and transaction instead of storing them."""
    resource_type: str = ""
    """Refuse those of other types."""
    source_url: str = ""
    """References to resources below it become references to those of this server."""
    name: Callable[[Source], str] = lambda source: f"{_whole_path(source.file)}:{source.line}"
    """What stands for the place of a resource without an id: the same place is the same resource."""


PLAIN = Manner()


@dataclass(slots=True)
class Loaded:
    """What a load did, in resources; `executed` in Bundles."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    executed: int = 0
    refusals: list[Refusal] = field(default_factory=list)
    suspect: list[str] = field(default_factory=list)
    """`Type/id` of resources with an NHS number whose check digit is wrong: an import is stored as it comes."""

    @property
    def total(self) -> int:
        return self.created + self.updated + self.unchanged + len(self.refusals)


async def load(
    server: Server,
    batches: Iterable[Batch],
    preparers: Preparers,
    *,
    workers: int,
    manner: Manner = PLAIN,
    on_progress: Callable[[Batch], None] = lambda batch: None,
    loaded: Loaded | None = None,
) -> Loaded:
    """Store all resources of `batches`.

    Args:
        loaded: where to count, for those who look at it while it grows.
        preparers: the processes that prepare.
        workers: how many of them there are.
        on_progress: called after each batch written.
    """
    settings = server.settings
    await refresh(server)
    options = Options(
        manner.execute,
        manner.resource_type,
        manner.source_url,
        settings.base_url,
        settings.max_json_depth,
        settings.time_zone,
        settings.canonical_base,
        await server.store.parameters(),
    )
    loaded = Loaded() if loaded is None else loaded
    ahead: deque[tuple[Batch, asyncio.Task[bytes]]] = deque()
    writing: asyncio.Task[None] | None = None

    async def write_next() -> None:
        """Decode the next batch while the one before it is being written."""
        nonlocal writing
        batch, encoded = ahead.popleft()
        prepared = decode_batch(await encoded)
        if writing is not None:
            # Who cancels the load does not cancel what is being written: it is counted first.
            await asyncio.shield(writing)
            writing = None
        writing = asyncio.create_task(_store(server, batch, prepared, loaded, on_progress))
        await asyncio.sleep(0)

    try:
        found = iter(batches)
        # Reading waits for the disk, and passing over what is too long takes its time.
        while (batch := await asyncio.to_thread(next, found, None)) is not None:
            names = [manner.name(source) for source in batch.sources]
            ahead.append((batch, asyncio.create_task(preparers.prepare(batch.bodies, names, options))))
            if len(ahead) > workers * BATCHES_AHEAD:
                await write_next()
        while ahead:
            await write_next()
    finally:
        for _, encoded in ahead:
            encoded.cancel()
        await asyncio.gather(*(encoded for _, encoded in ahead), return_exceptions=True)
        if writing is not None:
            await writing
    return loaded


async def _store(
    server: Server, batch: Batch, prepared: list[Prepared], loaded: Loaded, on_progress: Callable[[Batch], None]
) -> None:
    loaded.refusals += [Refusal(source, source.file.name, [issue]) for source, issue in batch.unreadable]
    placed: list[tuple[Source, Draft]] = []
    for n, item in enumerate(prepared):
        if isinstance(item, Accepted) and item.draft.parameters:
            # Alone, because it may clash with another SearchParameter, which refuses no other resource.
            await _write(server, placed, loaded)
            placed = []
            try:
                await _write(server, [(batch.sources[n], item.draft)], loaded)
            except Conflict as error:
                name = f"{item.draft.resource_type}/{item.draft.logical_id}"
                loaded.refusals.append(Refusal(batch.sources[n], name, error.issues))
        elif isinstance(item, Accepted):
            placed.append((batch.sources[n], item.draft))
            if item.suspect:
                loaded.suspect.append(f"{item.draft.resource_type}/{item.draft.logical_id}")
        elif isinstance(item, Refused):
            loaded.refusals.append(Refusal(batch.sources[n], item.resource, item.issues))
        elif isinstance(item, Executable):
            # In the order of the files: what came before is stored before.
            await _write(server, placed, loaded)
            placed = []
            await _execute(server, batch.sources[n], batch.bodies[n], loaded)
    await _write(server, placed, loaded)
    on_progress(batch)


async def _write(server: Server, placed: list[tuple[Source, Draft]], loaded: Loaded) -> None:
    if not placed:
        return

    async def attempt() -> _Written:
        registry = server.registry
        # What a worker process prepared before the search parameters changed is indexed again.
        current = [
            draft
            if draft.epoch >= registry.epoch
            else indexed_again(draft, time_zone=server.settings.time_zone, registry=registry)
            for _, draft in placed
        ]
        return await server.store.write(ALL, partial(_put_all, server, current))

    written = await with_current_registry(server, attempt)
    loaded.created += written.created
    loaded.updated += written.updated
    loaded.unchanged += written.unchanged
    for n, issues in written.refused:
        source, draft = placed[n]
        loaded.refusals.append(Refusal(source, f"{draft.resource_type}/{draft.logical_id}", issues))


@dataclass(slots=True)
class _Written:
    """What became of some drafts; `refused` by their position."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: list[tuple[int, list[Issue]]] = field(default_factory=list)


async def _put_all(server: Server, drafts: list[Draft], transaction: Transaction) -> _Written:
    done = _Written()
    forms = Forms(server, TransactionReader(transaction))
    stored = [one for draft in drafts for one in (draft, *draft.companions)]
    known = await transaction.versions([(one.resource_type, one.logical_id) for one in stored])
    for n, draft in enumerate(drafts):
        server.forms.written(draft.resource_type)
        if draft.resource_type == "Questionnaire":
            forms = Forms(server, TransactionReader(transaction))
        elif is_checked(server, draft.resource_type):
            try:
                await forms.check(resource_of(draft))
            except BusinessRule as refusal:
                done.refused.append((n, refusal.issues))
                continue
        key = (draft.resource_type, draft.logical_id)
        before = known.get(key)
        if before is None:
            known[key] = await transaction.put(draft)
            done.created += 1
            continue
        status, known[key] = await put(server, _UPDATE, transaction, draft)
        done.created += status == 201
        done.unchanged += known[key].version_id == before.version_id
        done.updated += status == 200 and known[key].version_id != before.version_id
    return done


async def _execute(server: Server, source: Source, body: bytes, loaded: Loaded) -> None:
    headers = {"content-type": FHIR_JSON, "prefer": "return=minimal"}
    request = Request("POST", "", headers=headers, body=body, base_url=server.settings.base_url)
    since = format_instant(now()).decode()
    try:
        response = await dispatch(server, request)
    except FhirError as error:
        loaded.refusals.append(Refusal(source, "Bundle", error.issues))
        return
    loaded.executed += 1
    methods = [entry["request"]["method"] for entry in msgspec.json.decode(body).get("entry", []) if "request" in entry]
    _count_entries(source, response, methods, since, loaded)


def _count_entries(source: Source, response: Response, methods: list[str], since: str, loaded: Loaded) -> None:
    """What the writing entries of a Bundle carried out at `since` came to; a read that failed refused nothing."""
    answer = msgspec.json.decode(response.body) if isinstance(response.body, bytes) else {}
    for n, (method, entry) in enumerate(zip(methods, answer.get("entry", []), strict=False)):
        status = entry["response"]["status"]
        if method not in ("GET", "HEAD"):
            loaded.created += status == "201"
            if status == "200" and method in ("PUT", "PATCH"):
                # What was stored before the Bundle came is the version that would not have changed.
                changed = entry["response"].get("lastModified", "") >= since
                loaded.updated += changed
                loaded.unchanged += not changed
            loaded.refusals += _refused_entry(source, n, entry)


def _refused_entry(source: Source, n: int, entry: dict[str, Any]) -> Iterator[Refusal]:
    """The entry of a batch if it failed, with its outcome (R4 http.html#brules)."""
    if entry["response"]["status"] >= "400":
        issues = entry["response"].get("outcome", {}).get("issue", [])
        yield Refusal(
            source,
            f"Bundle.entry[{n}]",
            [
                Issue(
                    issue["code"],
                    issue.get("diagnostics", ""),
                    next(iter(issue.get("expression", [])), None),
                    issue["severity"],
                )
                for issue in issues
            ],
        )
