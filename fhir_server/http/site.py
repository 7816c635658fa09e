"""Everything that is not FHIR: the landing page and the API documentation, on FastAPI."""

from __future__ import annotations

from html import escape
from importlib.metadata import version

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, JSONResponse, Response

from fhir_server.http.base_url import FHIR_PREFIX
from fhir_server.http.probes import Probes
from fhir_server.observability import metrics

VERSION = version("fhir-server-msk")
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>FHIR R4 server</title>
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:42rem;margin:3rem auto;padding:0 1rem}}
code{{background:#eee;padding:.1em .3em}}</style></head>
<body><h1>FHIR R4 server for musculoskeletal care</h1>
<p>Version {version}. The FHIR base is <code>{base}</code>.</p>
<ul>
<li><a href="{prefix}/metadata">CapabilityStatement</a>: what this server can do</li>
<li><a href="{prefix}/Patient">Patients</a></li>
<li><a href="/docs">API documentation</a></li>
<li><a href="/health/ready">Readiness</a>, <a href="/metrics">metrics</a></li>
</ul>
<p>Try: <code>curl '{base}/Patient?_count=1&amp;_pretty=true'</code></p>
</body></html>
"""


def build_site(probes: Probes, base_url: str) -> FastAPI:
    """The FastAPI application; the probes are here for the documentation, and answered before it."""
    site = FastAPI(
        title="FHIR R4 server for musculoskeletal care",
        version=VERSION,
        description=f"FHIR itself is at `{base_url}` and describes itself in `{base_url}/metadata`.",
        redoc_url=None,
    )

    @site.get("/", include_in_schema=False)
    async def landing() -> HTMLResponse:
        page = _PAGE.format(version=escape(VERSION), base=escape(base_url), prefix=FHIR_PREFIX)
        return HTMLResponse(page)

    @site.get("/health/live", summary="This process answers")
    async def live() -> dict[str, str]:
        return await probes.live()

    @site.get("/health/ready", summary="Requests can be served")
    async def ready() -> JSONResponse:
        status, content = await probes.ready()
        return JSONResponse(content, status)

    @site.get("/metrics", summary="Prometheus metrics", response_class=Response)
    async def prometheus() -> Response:
        return Response(metrics.render(), media_type=metrics.CONTENT_TYPE)

    return site
