"""Versions of contained resources: they follow their container's version directly in seq (storage/contained.py)."""

from __future__ import annotations

from fhir_server.storage.codes import FIRST_CONTAINED_TYPE

_LAST_SEQ = 2**63 - 1


def followers(container: str) -> str:
    """`version c ON ...`: the versions contained in the version whose seq is `container`."""
    following = (
        f"SELECT x.seq FROM version x WHERE x.seq > {container} AND x.type < {FIRST_CONTAINED_TYPE}"
        " ORDER BY x.seq LIMIT 1"
    )
    return (
        f"version c ON c.seq > {container} AND c.seq < coalesce(({following}), {_LAST_SEQ})"
        f" AND c.type >= {FIRST_CONTAINED_TYPE}"
    )


SUPERSEDE_SQLITE = (
    "INSERT INTO superseded (seq, next_seq, at) SELECT c.seq, ?2, ?3"
    f" FROM (SELECT ?1 AS seq) s CROSS JOIN {followers('s.seq')}"
)
SUPERSEDE_POSTGRESQL = (
    "INSERT INTO superseded (seq, next_seq, at) SELECT c.seq, s.next_seq, s.at"
    f" FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) s (seq, next_seq, at) JOIN {followers('s.seq')}"
)
"""What was contained in a version is replaced when it is: (seq, the seq that replaces it, when)."""
