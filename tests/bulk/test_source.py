"""Reading files of resources: whatever they hold, each line is given once or told of, in bounded memory."""

from __future__ import annotations

import gzip
import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.bulk.source import START, Batch, Place, batches
from fhir_server.errors import Issue

LIMIT = 1000


def read(*files: Path, limit: int = LIMIT, start: Place = START, most: int = 500) -> list[Batch]:
    return list(batches(files, limit=limit, start=start, most=most))


def bodies(found: list[Batch]) -> list[bytes]:
    return [body.strip() for batch in found for body in batch.bodies]


def unreadable(found: list[Batch]) -> list[tuple[str, int, str]]:
    return [(source.file.name, source.line, issue.code) for batch in found for source, issue in batch.unreadable]


def test_line_ends_of_windows_a_byte_order_mark_and_blank_lines_are_no_content(tmp_path: Path) -> None:
    file = tmp_path / "a.ndjson"
    file.write_bytes(b'\xef\xbb\xbf{"n":1}\r\n\r\n  \n{"n":2}\r\n{"n":3}')
    found = read(file)
    assert bodies(found) == [b'{"n":1}', b'{"n":2}', b'{"n":3}']
    assert [source.line for source in found[0].sources] == [1, 4, 5]
    single = tmp_path / "b.json"
    single.write_bytes(b'\xef\xbb\xbf{"n":1}')
    assert bodies(read(single)) == [b'{"n":1}']


@pytest.mark.parametrize("packed", [False, True])
def test_a_line_too_long_is_told_of_without_being_kept(tmp_path: Path, packed: bool) -> None:
    """200 MB in one line, also where some 200 kB of gzip stand for them; the others are read."""
    file = tmp_path / ("a.ndjson.gz" if packed else "a.ndjson")
    with gzip.open(file, "wb", 1) if packed else file.open("wb") as out:
        out.write(b'{"n":1}\n')
        for _ in range(200):
            out.write(b"0" * 1_000_000)
        out.write(b'\n{"n":3}\n')
    tracemalloc.start()
    found = read(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert bodies(found) == [b'{"n":1}', b'{"n":3}']
    assert unreadable(found) == [(file.name, 2, "too-long")]
    assert peak < 10_000_000


@pytest.mark.parametrize("size", [LIMIT - 1, LIMIT, LIMIT + 1])
@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_limit_is_of_the_resource_without_its_line_end(tmp_path: Path, size: int, end: bytes) -> None:
    file = tmp_path / "a.ndjson"
    file.write_bytes(b"0" * size + end)
    assert len(bodies(read(file))) == (size <= LIMIT)
    (single := tmp_path / "b.json").write_bytes(b"0" * size)
    assert len(bodies(read(single))) == (size <= LIMIT)


def test_a_file_that_goes_away_keeps_no_other_out(tmp_path: Path) -> None:
    for name in ("a", "c"):
        (tmp_path / f"{name}.ndjson").write_text("{}\n")
    found = read(*(tmp_path / f"{name}.ndjson" for name in "abc"))
    assert (len(bodies(found)), unreadable(found)) == (2, [("b.ndjson", 0, "structure")])


@pytest.mark.skipif(os.getuid() == 0, reason="Nothing is unreadable to root.")
def test_a_file_that_may_not_be_read_keeps_no_other_out(tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / f"{name}.ndjson").write_text("{}\n")
    (tmp_path / "a.ndjson").chmod(0)
    found = read(tmp_path / "a.ndjson", tmp_path / "b.ndjson")
    assert (len(bodies(found)), unreadable(found)) == (1, [("a.ndjson", 0, "structure")])


_LINE = st.sampled_from([b"", b"{}", b'{"a":1}', b"0" * LIMIT, b"1" * (LIMIT + 1), b"2" * (3 * LIMIT)])


@given(
    st.lists(st.tuples(st.lists(_LINE, max_size=8), st.sampled_from([b"\n", b"\r\n"]), st.booleans()), max_size=3),
    st.integers(1, 4),
)
def test_reading_goes_on_from_any_batch_as_if_it_had_not_stopped(
    tmp_path_factory: pytest.TempPathFactory, files: list[tuple[list[bytes], bytes, bool]], most: int
) -> None:
    folder = tmp_path_factory.mktemp("source")
    paths = []
    for n, (lines, end, packed) in enumerate(files):
        path = folder / f"{n}.ndjson{'.gz' if packed else ''}"
        content = end.join(lines)
        path.write_bytes(gzip.compress(content) if packed else content)
        paths.append(path)
    whole = read(*paths, most=most)
    given_: list[tuple[str, int, bytes | Issue]] = [one for batch in whole for one in _content(batch)]
    expected = [
        (path.name, number, len(line) <= LIMIT)
        for path, (lines, _, _) in zip(paths, files, strict=True)
        for number, line in enumerate(lines, 1)
        if line
    ]
    assert sorted((name, line, isinstance(what, bytes)) for name, line, what in given_) == sorted(expected)
    for n, batch in enumerate(whole):
        rest = read(*paths, start=batch.after, most=most)
        assert [_content(one) for one in rest if _content(one)] == [
            _content(one) for one in whole[n + 1 :] if _content(one)
        ]
    assert sum(batch.progress for batch in whole) == sum(path.stat().st_size for path in paths)


def _content(batch: Batch) -> list[tuple[str, int, bytes | Issue]]:
    placed = zip(batch.sources, batch.bodies, strict=True)
    read_ = [(source.file.name, source.line, body.strip()) for source, body in placed]
    return [*read_, *((source.file.name, source.line, issue) for source, issue in batch.unreadable)]
