"""First and later uses of a code system of 10,000 concepts on both engines: python -m benchmarks.terminology"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from statistics import median
from typing import Any

from benchmarks.database import fresh_database
from benchmarks.report import ENGINES
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.scope import ALL
from fhir_server.terminology.reader import StoreReader
from fhir_server.terminology.service import Terminology
from tests.terminology.content import TREE_SIZE, S, V, drafts, filtered, listing, rule, tree, tree_code, value_set

LISTED = "http://example.org/listed"
FIRST_USES = 9
LATER_USES = 500

Question = Callable[[Terminology, StoreReader], Awaitable[Any]]

QUESTIONS: dict[str, Question] = {
    "below the top concept (10,000 codes)": lambda t, reader: t.below(S, tree_code(0), reader),
    "below another concept (3,280 codes)": lambda t, reader: t.below(S, tree_code(1), reader),
    "below, no system named": lambda t, reader: t.below(None, tree_code(1), reader),
    "above a leaf": lambda t, reader: t.above(S, tree_code(TREE_SIZE - 1), reader),
    "expand a value set with is-a": lambda t, reader: t.expand(V, reader),
    "expand a value set that lists 10,000 codes": lambda t, reader: t.expand(LISTED, reader),
}


async def measure(database: str) -> list[tuple[str, float, float]]:
    """(question, first use, later use) in milliseconds, medians."""
    store = await open_store(Settings(database=database, content=False))
    listed = value_set(listing(*map(tree_code, range(TREE_SIZE))), id="listed", url=LISTED)
    content = list(drafts([tree(), value_set(filtered(rule("is-a", tree_code(1)))), listed]))

    async def write(transaction: Any) -> None:
        for draft in content:
            await transaction.put(draft)

    try:
        await store.write(ALL, write)
        reader = StoreReader(store, ALL)
        return [(name, *await _times(question, reader)) for name, question in QUESTIONS.items()]
    finally:
        await store.close()


async def _times(question: Question, reader: StoreReader) -> tuple[float, float]:
    async def timed(terminology: Terminology) -> float:
        start = time.perf_counter()
        await question(terminology, reader)
        return 1000 * (time.perf_counter() - start)

    first = [await timed(Terminology()) for _ in range(FIRST_USES)]
    terminology = Terminology()
    later = [await timed(terminology) for _ in range(LATER_USES)]
    return median(first), median(later)


def main() -> None:
    for engine in ENGINES:
        with fresh_database(engine) as database:
            for question, first, later in asyncio.run(measure(database)):
                print(f"{engine:<12} {question:<45} first {first:7.1f} ms   later {later:7.3f} ms")


if __name__ == "__main__":
    main()
