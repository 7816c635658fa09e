"""The application: the one place that knows all parts and wires them together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from fhir_server.http.application import Application
from fhir_server.http.asgi import AsgiApplication
from fhir_server.http.base_url import BaseUrl, own_base_url
from fhir_server.http.endpoint import Dispatch, FhirEndpoint
from fhir_server.http.probes import Probes
from fhir_server.interactions.exchange import Server
from fhir_server.settings import Settings
from fhir_server.storage.base import Store


def create_app(
    settings: Settings,
    store: Store,
    dispatch: Dispatch,
    *,
    port: int | None = None,
    load: bool = True,
    overloaded: Callable[[], bool] = lambda: False,
) -> Application:
    """The server as an ASGI application over an unopened `store`.

    Args:
        settings: what the server is told to do.
        store: opened at start-up, closed at shutdown.
        dispatch: carries out one interaction.
        port: the port in links when no base URL is set; the setting's own when None.
        load: whether this process loads the shipped content and the demo patients that settings ask for.
        overloaded: whether new requests are refused at this moment.
    """
    server = Server(store, settings)
    own = own_base_url(settings, settings.port if port is None else port)
    endpoint = FhirEndpoint(server, dispatch, BaseUrl(settings, own), overloaded)
    probes = Probes(store)

    async def startup() -> None:
        await store.open()
        if load:
            await _load_shipped(server)

    return Application(endpoint, probes, partial(_build_site, probes, own), startup, store.close)


async def _load_shipped(server: Server) -> None:
    from fhir_server.content import load_content, load_demo  # noqa: PLC0415

    if server.settings.content:
        await load_content(server)
    if server.settings.demo:
        await load_demo(server)


def _build_site(probes: Probes, base_url: str) -> AsgiApplication:
    # FastAPI takes 0.3 s to import, and most server processes never need it.
    from fhir_server.http.site import build_site  # noqa: PLC0415

    return build_site(probes, base_url)
