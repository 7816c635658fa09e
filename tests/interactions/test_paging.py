"""Links between pages: R4 http.html#paging, search.html#count, and the total that goes with them."""

from __future__ import annotations

import pytest

from tests.interactions.conftest import Answer, Client, patient

pytestmark = pytest.mark.asyncio(loop_scope="module")

ORDERS = [
    "", "&_sort=birthdate", "&_sort=-birthdate", "&_sort=gender,-birthdate", "&_sort=-gender,birthdate", "&_sort=_id",
    "&_sort=-_lastUpdated", "&_sort=_lastUpdated", "&_sort=given", "&_sort=-given,_id",
]  # fmt: skip


async def fill(client: Client, name: str, count: int) -> None:
    """Patients with and without a birth date, a gender and a given name."""
    for n in range(count):
        elements: dict[str, object] = {}
        if n % 3:
            elements["birthDate"] = f"2000-01-{n % 5 + 1:02}"
        if n % 2:
            elements["gender"] = ("male", "female")[n % 4 // 2]
        given = {"given": [f"g{n % 4}"]} if n % 4 else {}
        await client.stored(patient(f"{name}-{n}", name=[{"family": name, **given}], **elements))


async def all_pages(client: Client, answer: Answer, relation: str) -> list[Answer]:
    pages = [answer]
    while (link := pages[-1].link(relation)) is not None:
        pages.append(await client.get(link))
        assert pages[-1].status == 200, pages[-1].body
    return pages


@pytest.mark.parametrize("order", ORDERS)
async def test_previous_leads_back_over_the_same_pages(client: Client, name: str, order: str) -> None:
    await fill(client, name, 11)
    url = f"Patient?family={name}{order}"
    whole = (await client.get(url)).ids
    assert len(whole) == 11
    pages = await all_pages(client, await client.get(f"{url}&_count=2"), "next")
    assert [one for page in pages for one in page.ids] == whole
    back = await all_pages(client, pages[-1], "previous")
    assert [page.ids for page in back[::-1]] == [page.ids for page in pages]
    again = await all_pages(client, back[-1], "next")
    assert [page.ids for page in again] == [page.ids for page in pages]
    assert {tuple((await client.get(str(page.link("first")))).ids) for page in pages} == {tuple(pages[0].ids)}


@pytest.mark.parametrize("order", ["", "&_sort=birthdate", "&_sort=gender,-birthdate"])
async def test_what_is_written_meanwhile_is_on_no_page(client: Client, name: str, order: str) -> None:
    await fill(client, name, 6)
    url = f"Patient?family={name}{order}&_count=2"
    pages = await all_pages(client, await client.get(url), "next")
    before = [page.ids for page in pages]
    await client.stored(patient(f"{name}-new", name=[{"family": name}], birthDate="1999-01-01", gender="female"))
    await client.stored(patient(f"{name}-1", name=[{"family": "Elsewhere"}]))
    await client.delete(f"Patient/{name}-2")
    back = await all_pages(client, pages[-1], "previous")
    assert [page.ids for page in back[::-1]] == before
    first = await client.get(str(pages[1].link("first")))
    assert first.ids == before[0]
    assert sorted((await client.get(f"Patient?family={name}")).ids) == sorted(
        [f"{name}-new", *(f"{name}-{n}" for n in (0, 3, 4, 5))]
    )


async def test_the_total_is_counted_once(client: Client, name: str) -> None:
    """It is that of the first page's moment."""
    await fill(client, name, 5)
    first = await client.get(f"Patient?family={name}&_count=2&_total=accurate")
    await client.delete(f"Patient/{name}-0")
    pages = await all_pages(client, first, "next")
    pages += await all_pages(client, pages[-1], "previous")
    assert {page.resource["total"] for page in pages} == {5}


async def test_the_relations(client: Client, name: str) -> None:
    await fill(client, name, 3)
    pages = await all_pages(client, await client.get(f"Patient?family={name}&_count=1"), "next")
    relations = [[link["relation"] for link in page.resource["link"]] for page in pages]
    assert relations == [
        ["self", "first", "next"],
        ["self", "first", "previous", "next"],
        ["self", "first", "previous"],
    ]
    for page in pages:
        again = await client.get(str(page.link("self")))
        assert again.ids == page.ids


async def test_a_count_of_0_has_no_links(client: Client, name: str) -> None:
    """R4 search.html#count: no entries, and no prev/next/last links."""
    await fill(client, name, 3)
    for asked in ("_count=0", "_summary=count"):
        answer = await client.get(f"Patient?family={name}&{asked}")
        assert (answer.resource["total"], answer.entries) == (3, [])
        assert [link["relation"] for link in answer.resource["link"]] == ["self"]


async def test_a_link_of_another_search_is_refused(client: Client, name: str) -> None:
    await fill(client, name, 3)
    following = str((await client.get(f"Patient?family={name}&_count=1")).link("next"))
    for changed in (
        following.replace("_count=1", "_count=2"),
        following[:-4] + "AAAA",
        following.replace("Patient", "Person"),
    ):
        answer = await client.get(changed)
        assert (answer.status, answer.issue["code"]) == (400, "invalid")
        assert "first page" in answer.issue["diagnostics"]


async def test_a_link_that_is_too_old(client: Client, name: str) -> None:
    await fill(client, name, 3)
    answer = await client.get(f"Patient?family={name}&_count=1")
    await client.stored(patient(f"{name}-0", name=[{"family": name}], active=True))
    await client.server.store.vacuum(-1)
    expired = await client.get(str(answer.link("next")))
    assert (expired.status, expired.issue["code"]) == (410, "expired")
    assert "start the search again" in expired.issue["diagnostics"]
