"""`check`: nothing on a healthy store, and every kind of damage done to it by SQL."""

from __future__ import annotations

from fhir_server.storage.base import Draft, Store, Transaction
from fhir_server.storage.codes import TYPE_NUMBERS
from fhir_server.storage.scope import ALL
from fhir_server.storage.sql.check import check
from fhir_server.storage.sql.dialect import positional
from fhir_server.storage.sql.predicates import PATIENT_COMPARTMENT, listing_parameter
from tests.storage import direct
from tests.storage.derived import findings, observation, rows_of
from tests.storage.drafts import CODE, DAY, IDENTIFIER, VALUE, draft

OBSERVATION = TYPE_NUMBERS["Observation"]


def binary() -> Draft:
    one = draft({"resourceType": "Binary", "id": "b", "data": ""})
    one.blob_content, one.blob_content_type = [b"abc" * 10, b"xyz"], "text/plain"
    one.blob_offset = one.tail.index(b'"data":""') + 8
    return one


async def fill(store: Store) -> None:
    """Seqs 1 and 2: two versions of Observation/o1; 3: o2; 4 and 5: o3 and its deletion; 6: Binary/b; 7: purged."""

    async def put(one: Draft) -> int:
        return (await store.write(ALL, lambda transaction: transaction.put(one))).seq

    async def delete(transaction: Transaction) -> int:
        gone = await transaction.delete("Observation", "o3")
        assert gone is not None
        return gone.seq

    seqs = [await put(one) for one in (observation("o1", 1), observation("o1", 2), observation("o2", 3))]
    seqs += [await put(observation("o3", 4)), await store.write(ALL, delete)]
    seqs += [await put(binary()), await put(observation("purged", 7))]
    await store.write(ALL, lambda transaction: transaction.purge("Observation", "purged"))
    assert seqs == [1, 2, 3, 4, 5, 6, 7]


O1, O2, O3, B = "Observation/o1", "Observation/o2", "Observation/o3", "Binary/b"
CODE_ROW = f"(5, {CODE}, 1, 0, {4 * DAY})"

# The damage, by SQL -> what check must find, and nothing else.
DAMAGE: dict[str, set[tuple[str, str]]] = {
    # index rows
    f"DELETE FROM number WHERE seq = 3 AND p = {CODE}": {(O2, "index")},
    f"DELETE FROM number WHERE seq = 3 AND p = {PATIENT_COMPARTMENT}": {(O2, "index")},
    f"DELETE FROM number WHERE seq = 3 AND p = {listing_parameter('Observation')}": {(O2, "index")},
    f"DELETE FROM number WHERE seq = 6 AND p = {listing_parameter('Binary')}": {(B, "index")},
    "DELETE FROM text WHERE seq = 3": {(O2, "index")},
    "DELETE FROM composite WHERE seq = 3": {(O2, "index")},
    f"DELETE FROM number WHERE seq = 1 AND p = {CODE}": {(O1, "index")},  # superseded: snapshots still need it
    f"INSERT INTO number (seq, p, v, w, k) VALUES (3, {CODE}, 1, 0, {3 * DAY})": {(O2, "index")},
    f"INSERT INTO text (seq, p, v, w, k) VALUES (3, {IDENTIFIER}, 'x', 0, {3 * DAY})": {(O2, "index")},
    f"INSERT INTO number (seq, p, v, w, k) VALUES {CODE_ROW}": {(O3, "index")},  # of a deletion
    f"UPDATE number SET k = k + 1 WHERE seq = 3 AND p = {CODE}": {(O2, "index")},
    f"UPDATE number SET w = 8 WHERE seq = 3 AND p = {VALUE}": {(O2, "index")},
    f"UPDATE text SET v = 'I3' WHERE seq = 3 AND p = {IDENTIFIER}": {(O2, "index")},
    "UPDATE feature SET items = (SELECT f.items FROM feature f WHERE f.seq = 1) WHERE seq = 3": {(O2, "index")},
    "DELETE FROM token WHERE code = 'c3'": {(O2, "token")},
    # rows of no version: of one that was purged, and beyond the last
    **{
        f"INSERT INTO {table} VALUES ({seq}, {rest})": {(f"seq {seq}", "orphan")}
        for seq in (7, 99)
        for table, rest in {
            "number": "8, 1, 0, 0",
            "text": "8, 'x', 0, 0",
            "composite": "8, 1, 0, 0, '', 0",
            "superseded": "8, 1",
            "blob": "1, 0, 'text/plain'",
            "blob_chunk": "0, ''",
        }.items()
    },
    # bodies
    "UPDATE version SET body = NULL WHERE seq = 3": {(O2, "body")},
    "UPDATE version SET body = (SELECT e.body FROM version e WHERE e.seq = 2) WHERE seq = 3": {(O2, "body")},
    "UPDATE version SET body = (SELECT e.body FROM version e WHERE e.seq = 1) WHERE seq = 2": {(O1, "body")},
    # blobs
    "DELETE FROM blob_chunk WHERE seq = 6 AND n = 0": {(B, "blob")},
    "DELETE FROM blob_chunk WHERE seq = 6 AND n = 1": {(B, "blob")},
    "DELETE FROM blob_chunk WHERE seq = 6": {(B, "blob")},
    "UPDATE blob_chunk SET n = 2 WHERE seq = 6 AND n = 1": {(B, "blob")},
    "UPDATE blob SET size = size + 1 WHERE seq = 6": {(B, "blob")},
    "DELETE FROM blob WHERE seq = 6": {(B, "blob")},
    "UPDATE version SET codec = 0 WHERE seq = 6": {(B, "blob")},
    # histories
    "DELETE FROM version WHERE seq = 1": {(O1, "history"), ("seq 1", "orphan")},
    "DELETE FROM version WHERE seq = 2": {(O1, "superseded"), ("seq 2", "orphan")},
    "UPDATE version SET version = 3 WHERE seq = 2": {(O1, "history"), (O1, "body")},
    "UPDATE version SET rid = rid + 1 WHERE seq = 3": {(O2, "history")},
    "DELETE FROM superseded WHERE seq = 1": {(O1, "superseded"), (O1, "index")},
    "UPDATE superseded SET next_seq = 3 WHERE seq = 1": {(O1, "superseded")},
    "INSERT INTO superseded VALUES (3, 4, 1)": {(O2, "superseded")},  # hides a current version
    # the clock
    "UPDATE clock SET seq = 5": {(B, "clock")},
    "UPDATE clock SET last_updated = (SELECT e.last_updated FROM version e WHERE e.seq = 5)": {(B, "clock")},
    "DELETE FROM tick WHERE seq = 3": {(O2, "clock")},
    "UPDATE tick SET seq = 2 WHERE seq = 3": {(O2, "clock")},
    # counters
    f"UPDATE type_stat SET count = count + 1 WHERE type = {OBSERVATION}": {("Observation", "counter")},
    f"UPDATE type_stat SET count = 1 WHERE type = {OBSERVATION}": {("Observation", "counter")},
    f"UPDATE type_stat SET widest = 1 WHERE type = {OBSERVATION}": {("Observation", "counter")},
    "DELETE FROM type_stat": {("Observation", "counter"), ("Binary", "counter")},
    f"INSERT INTO type_stat VALUES ({TYPE_NUMBERS['Patient']}, 1, 0)": {("Patient", "counter")},
}
SQLITE_DAMAGE: dict[str, set[tuple[str, str]]] = {
    "DELETE FROM posting WHERE seq = 3 AND v = 3": {(O2, "index")},
    "INSERT INTO posting VALUES (5, 99)": {("seq 99", "orphan")},
    "DELETE FROM feature WHERE seq = 3": {(O2, "index"), ("seq 3", "orphan")},
}
POSTGRESQL_DAMAGE: dict[str, set[tuple[str, str]]] = {
    "DELETE FROM feature WHERE seq = 3": {(O2, "index")},
    # The tables have no key here; a row twice is a match twice.
    "INSERT INTO number SELECT * FROM number WHERE seq = 3": {(O2, "index")},
    "INSERT INTO feature VALUES (99, '{1}')": {("seq 99", "orphan")},
}


async def test_a_healthy_store_has_no_findings(store: Store) -> None:
    assert await findings(store) == set()
    await fill(store)
    assert await findings(store) == set()
    assert await store.vacuum(-1) == 2
    assert await findings(store) == set()


async def test_every_damage_is_found(store: Store, engine: str, database_url: str) -> None:
    await fill(store)
    damage = DAMAGE | (SQLITE_DAMAGE if engine == "sqlite" else POSTGRESQL_DAMAGE)
    found = {}
    for statement in damage:
        async with direct.Session(database_url) as session:
            await session.fetch(statement, ())
            found[statement] = {(found.resource, found.kind) async for found in check(session, rows_of)}
    assert found == damage
    assert await findings(store) == set()


async def test_a_changed_body_is_found(store: Store, database_url: str) -> None:
    await fill(store)
    ((body,),) = await direct.rows(database_url, "SELECT body FROM version WHERE seq = 3")
    changes = {
        body.replace(b'"value":3', b'"value":9'): {(O2, "index"), (O2, "token")},
        body.replace(b'"versionId":"1"', b'"versionId":"2"'): {(O2, "body")},
        body[:-1]: {(O2, "body")},
        b"": {(O2, "body")},
    }
    found = {}
    for changed in changes:
        async with direct.Session(database_url) as session:
            update = positional("UPDATE version SET body = ? WHERE seq = 3", session.postgresql)
            await session.fetch(update, (changed,))
            found[changed] = {(found.resource, found.kind) async for found in check(session, rows_of)}
    assert found == changes


async def test_damage_beyond_the_first_page_of_versions_is_found(store: Store, database_url: str) -> None:
    async def many(transaction: Transaction) -> int:
        return [await transaction.put(observation(f"o{n}", n)) for n in range(1, 701)][-1].seq

    assert await store.write(ALL, many) == 700
    assert await findings(store) == set()
    await direct.run(database_url, "DELETE FROM text WHERE seq IN (499, 500, 501, 700)")
    assert await findings(store) == {(f"Observation/o{n}", "index") for n in (499, 500, 501, 700)}
