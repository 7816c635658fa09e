"""The unit of work of both engines: writes are gathered as rows and sent to the database together.

One database transaction serves a group of works (group commit). It holds the only write lock, so what it
read stays true; a work that fails is undone alone by dropping its rows, or, once they were sent because a
search had to see them, by rolling back to its savepoint.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from fhir_server.errors import Conflict, Forbidden
from fhir_server.model.identity import rid
from fhir_server.model.instant import format_instant
from fhir_server.storage import query as q
from fhir_server.storage.base import Blob, Draft, HistoryPage, Included, PurgeCounts, SearchPage, StoredVersion
from fhir_server.storage.codes import METHODS, TYPE_NAMES, TYPE_NUMBERS
from fhir_server.storage.parameters import ParameterDefinition, Plan, Reindexed, StaleIndex
from fhir_server.storage.rows import Contained, IndexRows
from fhir_server.storage.scope import ALL, Scope
from fhir_server.storage.sql import include, parameters, purge, reads
from fhir_server.storage.sql.dialect import Statement, positional
from fhir_server.storage.sql.pending import Connection, Pending
from fhir_server.storage.sql.plan import VERSION_COLUMNS, WITHOUT_BODY
from fhir_server.storage.sql.predicates import PATIENT_COMPARTMENT, listing_parameter
from fhir_server.storage.sql.resolve import stored_types

CREATE, UPDATE, DELETE = range(3)


class SqlTransaction:
    """One group's transaction, as the work now running sees it."""

    def __init__(self, connection: Connection, seq: int, last_updated: int, epoch: int, known_tokens: set[int]) -> None:
        self.connection = connection
        self.last_updated = last_updated
        self.seq = seq
        self.epoch = epoch
        self.new_tokens: set[int] = set()
        self._instant = format_instant(last_updated)
        self._known_tokens = known_tokens
        self._pending = Pending()
        self._states: dict[int, StoredVersion | None] = {}
        self._own_states: dict[int, StoredVersion | None] = {}
        self._mark = self._pending.mark()
        self._first_seq = seq
        self._first_epoch = epoch
        self._own_tokens: list[int] = []
        self._builds: list[Plan] = []
        self._savepoint = False
        self._scope = ALL

    # -- the group's side ------------------------------------------------------------------------------------

    def start_work(self, scope: Scope) -> None:
        self._scope = scope
        self._mark = self._pending.mark()
        self._own_states = {}
        self._own_tokens = []
        self._builds = []
        self._first_seq = self.seq
        self._first_epoch = self.epoch
        self._savepoint = False

    async def keep_work(self) -> None:
        if self._builds:
            await parameters.build(await self.exclusive(), self._builds, self.last_updated)
        self._states.update(self._own_states)
        if self._savepoint:
            await self.connection.run("RELEASE SAVEPOINT work")

    async def undo_work(self) -> None:
        """Drop what the work wrote; the group goes on as if it had not run."""
        if self._savepoint:
            await self.connection.run("ROLLBACK TO SAVEPOINT work")
            await self.connection.run("RELEASE SAVEPOINT work")
        self._pending.cut(self._mark)
        self.new_tokens.difference_update(self._own_tokens)
        self.seq = self._first_seq
        self.epoch = self._first_epoch

    async def finish(self) -> None:
        """Send what is left."""
        await self.connection.send(self._pending)
        self._pending = Pending()

    # -- Transaction -----------------------------------------------------------------------------------------

    async def current(self, resource_type: str, logical_id: str) -> StoredVersion | None:
        found = await self.versions([(resource_type, logical_id)], bodies=True)
        return found.get((resource_type, logical_id))

    async def versions(
        self, keys: list[tuple[str, str]], *, bodies: bool = False
    ) -> dict[tuple[str, str], StoredVersion]:
        found = await self._newest(keys, bodies)
        if not self._scope.predicates:
            return found
        return {key: state for key, state in found.items() if await self._permitted(state)}

    async def _permitted(self, version: StoredVersion | None) -> bool:
        """The scope shows the resource, as this work has left it."""
        if version is None or not self._scope.predicates:
            return True
        await self._send_for_reading()
        return await reads.permitted(self.connection, self._scope, version) is not None

    async def _newest(self, keys: list[tuple[str, str]], bodies: bool) -> dict[tuple[str, str], StoredVersion]:
        wanted = {rid(*key): key for key in keys}
        missing = [key for key in wanted if not self._knows(key, bodies)]
        if missing:
            await self._look_up(missing, bodies)
        states = {wanted[key]: self._state(key) for key in wanted}
        return {key: state for key, state in states.items() if state and (state.resource_type, state.logical_id) == key}

    def _knows(self, key: int, body: bool) -> bool:
        """The newest version of `key` was read or written in this group, with its body where that is wanted."""
        if not self._looked_up(key):
            return False
        state = self._state(key)
        return not body or state is None or state.body is not None or state.method == METHODS[DELETE]

    async def _look_up(self, keys: list[int], bodies: bool) -> None:
        statement = Statement(self.connection.postgresql)
        columns = VERSION_COLUMNS if bodies else WITHOUT_BODY
        newest = "SELECT max(x.version) FROM version x WHERE x.rid = ver.rid"
        sql = (
            f"SELECT {columns}, ver.rid FROM version ver"
            f" WHERE {statement.one_of('ver.rid', keys)} AND ver.version = ({newest})"
        )
        self._own_states.update(dict.fromkeys(keys))
        for row in await self.connection.fetch(sql, statement.parameters):
            self._own_states[row[8]] = await reads.stored(self.connection, row)

    async def vread(self, resource_type: str, logical_id: str, version_id: int) -> StoredVersion | None:
        await self._send_for_reading()
        found = await reads.vread(self.connection, resource_type, logical_id, version_id)
        return await reads.permitted(self.connection, self._scope, found)

    async def history(self, query: q.HistoryQuery) -> HistoryPage:
        await self._send_for_reading()
        return await reads.history(self.connection, self._scope, replace(query, snapshot=self.seq))

    async def search(self, query: q.Query) -> SearchPage:
        await self._send_for_reading()
        return self._at_this_point(query, await reads.search(self.connection, self._scope, query))

    async def search_all(self, queries: Sequence[q.Query]) -> SearchPage:
        await self._send_for_reading()
        return self._at_this_point(queries[0], await reads.search_all(self.connection, self._scope, queries))

    async def types(self) -> frozenset[str]:
        await self._send_for_reading()
        return await stored_types(self.connection)

    def _at_this_point(self, query: q.Query, page: SearchPage) -> SearchPage:
        """The page of a search without a snapshot saw the group's own writes, which the clock does not count yet."""
        return page if query.snapshot is not None else replace(page, snapshot=self.seq)

    async def included(self, query: q.IncludeQuery, matches: Sequence[StoredVersion]) -> Included:
        await self._send_for_reading()
        return await include.included(self.connection, self._scope, query, matches)

    async def put(self, draft: Draft) -> StoredVersion:
        self._refuse_stale(draft)
        key = rid(draft.resource_type, draft.logical_id)
        before = None if draft.fresh else await self._before(key, draft.resource_type, draft.logical_id)
        if before and before.method != METHODS[DELETE] and not await self._permitted(before):
            raise Forbidden(f"{draft.resource_type}/{draft.logical_id} is not yours to write.")
        written = self._append(draft, key, before)
        if draft.resource_type == "SearchParameter":
            await self._define(draft.logical_id, draft.parameters)
        if not await self._permitted(written):
            raise Forbidden(f"{draft.resource_type}/{draft.logical_id} would be outside of what you may write.")
        if draft.companions:
            await self.put_companions(draft)
        return written

    async def put_companions(self, draft: Draft) -> list[StoredVersion]:
        self._refuse_stale(draft)
        companions = [(rid(one.resource_type, one.logical_id), one) for one in draft.companions]
        wanted = {key for key, one in companions if not one.fresh}
        wanted |= {rid(*one.about) for _, one in companions if one.about is not None}
        if unknown := [key for key in wanted if not self._looked_up(key)]:
            await self._look_up(unknown, False)
        return [
            self._append(one, key, None)
            for key, one in companions
            if self._state(key) is None and not self._is_deleted(one.about)
        ]

    def _is_deleted(self, key: tuple[str, str] | None) -> bool:
        state = self._state(rid(*key)) if key is not None else None
        return state is not None and state.method == METHODS[DELETE]

    def _refuse_stale(self, draft: Draft) -> None:
        # What this work itself changed of the set of parameters is built for what it writes too: its job comes later.
        if draft.epoch < self._first_epoch:
            raise StaleIndex

    def _append(self, draft: Draft, key: int, before: StoredVersion | None) -> StoredVersion:
        """The version after `before`, the newest there is."""
        version_id = before.version_id + 1 if before else 1
        method = UPDATE if before and before.method != METHODS[DELETE] else CREATE
        seq = self._next_seq()
        meta = b'"versionId":"%d","lastUpdated":"%s"' % (version_id, self._instant)
        body = b"".join((draft.head, meta, draft.tail))
        codec, blob = self._blob(draft, seq, len(draft.head) + len(meta))
        type_number = TYPE_NUMBERS[draft.resource_type]
        self._pending.version.append(
            (seq, key, type_number, draft.logical_id, version_id, self.last_updated, method, codec, body)
        )
        self._index(draft.resource_type, draft.rows, seq)
        self._pending.stat.append((type_number, int(method == CREATE), draft.rows.width))
        for contained in draft.rows.contained:
            self._put_contained(contained, version_id)
        if before and method == UPDATE:
            self._pending.superseded.append((before.seq, seq, self.last_updated))
        written = StoredVersion(
            draft.resource_type, draft.logical_id, version_id, self.last_updated, METHODS[method], seq, body, blob
        )
        self._own_states[key] = written
        return written

    async def delete(self, resource_type: str, logical_id: str) -> StoredVersion | None:
        key = rid(resource_type, logical_id)
        before = await self._before(key, resource_type, logical_id)
        if before is None or before.method == METHODS[DELETE] or not await self._permitted(before):
            return None
        seq = self._next_seq()
        type_number = TYPE_NUMBERS[resource_type]
        version_id = before.version_id + 1
        self._pending.version.append(
            (seq, key, type_number, logical_id, version_id, self.last_updated, DELETE, 0, None)
        )
        self._pending.stat.append((type_number, -1, 0))
        self._pending.superseded.append((before.seq, seq, self.last_updated))
        gone = StoredVersion(resource_type, logical_id, version_id, self.last_updated, METHODS[DELETE], seq, None)
        self._own_states[key] = gone
        if resource_type == "SearchParameter":
            await self._define(logical_id, ())
        return gone

    async def purge(self, resource_type: str, logical_id: str) -> PurgeCounts:
        before = await self._before(rid(resource_type, logical_id), resource_type, logical_id)
        if not await self._permitted(before):
            return PurgeCounts()
        await self._send_for_reading()
        await self._ensure_savepoint()
        self._own_states[rid(resource_type, logical_id)] = None
        if before is None:
            return PurgeCounts()
        if before.method != METHODS[DELETE]:
            self._pending.stat.append((TYPE_NUMBERS[resource_type], -1, 0))
        if resource_type == "SearchParameter":
            await self._define(logical_id, ())
        return await purge.purge(self.connection, rid(resource_type, logical_id))

    async def read_blob(self, version: StoredVersion) -> bytes:
        await self._send_for_reading()
        sql = positional("SELECT c.content FROM blob_chunk c WHERE c.seq = ? ORDER BY c.n", self.connection.postgresql)
        return b"".join(row[0] for row in await self.connection.fetch(sql, (version.seq,)))

    # -- search parameters ------------------------------------------------------------------------------------

    async def exclusive(self) -> Connection:
        """The connection, for statements of the work's own, which are undone with it."""
        await self._send_for_reading()
        await self._ensure_savepoint()
        return self.connection

    async def next_epoch(self) -> None:
        """The set of search parameters has changed: drafts of the older one are not stored any more."""
        self.epoch += 1
        sql = positional("UPDATE clock SET epoch = ?", self.connection.postgresql)
        await self.connection.run(sql, (self.epoch,))

    async def _define(self, source: str, wanted: Sequence[ParameterDefinition]) -> None:
        defined = await parameters.define(await self.exclusive(), source, wanted, self.last_updated)
        if defined.changed:
            await self.next_epoch()
        if defined.build:
            self._builds.append(defined.build)

    async def exchange(self, versions: Sequence[Reindexed], only: Sequence[int] | None) -> None:
        """Give the versions new rows; with `only` just those of these row parameters (and all features)."""
        connection = await self.exclusive()
        seqs = [one.seq for one in versions]
        if not seqs:
            return
        if only is None:
            await purge.clear_index(connection, seqs)
        else:
            await purge.clear_parameters(connection, seqs, only)
        for one in versions:
            resource_type = TYPE_NAMES[one.type]
            if only is None:
                self._index(resource_type, one.rows, one.seq)
                self._pending.stat.append((one.type, 0, one.rows.width))
            else:
                self._add_rows(one.rows, one.seq)
        await connection.send(self._pending)
        self._pending = Pending()

    # -- inside ----------------------------------------------------------------------------------------------

    def _next_seq(self) -> int:
        self.seq += 1
        return self.seq

    def _state(self, key: int) -> StoredVersion | None:
        return self._own_states[key] if key in self._own_states else self._states.get(key)

    def _looked_up(self, key: int) -> bool:
        return key in self._own_states or key in self._states

    async def _before(self, key: int, resource_type: str, logical_id: str) -> StoredVersion | None:
        """The newest version, body or not. Refuses an id whose 64-bit identity another resource has."""
        if not self._looked_up(key):
            await self._look_up([key], False)
        before = self._state(key)
        if before and (before.resource_type, before.logical_id) != (resource_type, logical_id):
            raise Conflict(f"The id {logical_id} cannot be used here (its identity is taken): choose another.")
        return before

    def _blob(self, draft: Draft, seq: int, before_tail: int) -> tuple[int, Blob | None]:
        if draft.blob_content is None:
            return 0, None
        size = sum(map(len, draft.blob_content))
        blob = Blob(before_tail + draft.blob_offset, size, draft.blob_content_type)
        self._pending.blob.append((seq, blob.offset, blob.size, blob.content_type))
        self._pending.blob_chunk.extend((seq, n, chunk) for n, chunk in enumerate(draft.blob_content))
        return reads.WITH_BLOB, blob

    def _put_contained(self, contained: Contained, version_id: int) -> None:
        """Its version follows its container's and has its number; its type counts all there ever were."""
        seq = self._next_seq()
        type_number = TYPE_NUMBERS[contained.resource_type]
        key = rid(contained.resource_type, contained.logical_id)
        identity = (seq, key, type_number, contained.logical_id, version_id)
        self._pending.version.append((*identity, self.last_updated, CREATE, 0, contained.body))
        self._index(contained.resource_type, contained.rows, seq)
        self._pending.stat.append((type_number, 1, contained.rows.width))

    def _index(self, resource_type: str, rows: IndexRows, seq: int) -> None:
        pending, k = self._pending, rows.k
        pending.number.append((seq, listing_parameter(resource_type), 0, 0, k))
        pending.number += [(seq, PATIENT_COMPARTMENT, v, 0, k) for v in rows.compartments]
        self._add_rows(rows, seq)

    def _add_rows(self, rows: IndexRows, seq: int) -> None:
        pending, k = self._pending, rows.k
        pending.number += [(seq, p, v, w, k) for p, v, w in rows.numbers]
        pending.text += [(seq, p, v, w, k) for p, v, w in rows.texts]
        pending.composite += [(seq, p, a, b, c, t, k) for p, a, b, c, t in rows.composites]
        if rows.features:
            pending.feature.append((seq, rows.features))
        for token in rows.tokens:
            if token[0] not in self._known_tokens and token[0] not in self.new_tokens:
                self.new_tokens.add(token[0])
                self._own_tokens.append(token[0])
                pending.token.append(token)

    async def _send_for_reading(self) -> None:
        """Make this group's rows visible to a read of the running work, its own behind a savepoint."""
        earlier = self._pending.split(self._mark)
        if earlier.version or earlier.stat:
            await self.connection.send(earlier)
        self._mark = Pending().mark()
        if self._pending.version or self._pending.stat:
            await self._ensure_savepoint()
            await self.connection.send(self._pending)
            self._pending = Pending()

    async def _ensure_savepoint(self) -> None:
        if not self._savepoint:
            self._savepoint = True
            await self.connection.run("SAVEPOINT work")
