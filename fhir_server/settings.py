"""All settings in one typed class; each is a CLI option or a FHIR_* variable (docs/settings.md)."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from fhir_server.model.instant import moment_of

SHORTEST_KEY = 32
"""Characters of `pseudonym_key`."""


class Settings(BaseSettings):
    """Read from FHIR_* environment variables; the command line overrides them."""

    model_config = SettingsConfigDict(env_prefix="FHIR_", extra="ignore")

    host: str = Field("127.0.0.1", description="Address to listen on. Only loopback without authentication.")
    port: int = Field(8080, ge=0, le=65535, description="TCP port; 0 picks a free one.")
    database: str = Field("sqlite:///fhir.db", description="sqlite:///PATH or postgresql://USER@HOST/NAME.")
    workers: int = Field(1, ge=1, le=64, description="Worker processes. On SQLite one of them writes for all.")
    base_url: str = Field(
        "", description="The public FHIR base URL, used in every absolute link. Empty: http://HOST:PORT/fhir."
    )
    trusted_proxies: str = Field("", description="Comma-separated addresses whose X-Forwarded-* headers are believed.")
    insecure_no_auth: bool = Field(
        False, description="Listen on other than loopback although there is no authentication."
    )
    demo: bool = Field(False, description="Load synthetic demo patients at start-up.")
    content: bool = Field(True, description="Load the shipped MSK content at start-up.")
    canonical_base: str = Field(
        "https://fhir.example.org/msk", description="Base of the canonical URLs of the shipped content."
    )
    score_unverified: str = Field(
        "refuse",
        pattern="^(refuse|allow)$",
        description="Whether $score applies rules known from memory only; its results are then preliminary.",
    )
    score_on_write: bool = Field(
        False, description="Store the scores of every response that is written, as $score with persist does."
    )
    time_zone: str = Field(
        "Europe/London", description="Zone of dates and times that carry none (R4 search.html#date)."
    )
    clock: str = Field(
        "",
        description="Development: a file with the instant that plans, steps and jobs take as now; empty: the system's.",
    )
    default_count: int = Field(20, ge=1, description="Page size when a search gives no _count.")
    max_count: int = Field(1000, ge=1, description="Largest _count; larger ones are lowered to it.")
    max_includes: int = Field(
        1000, ge=1, description="Most included resources on one page of a search; the rest follow on the next."
    )
    max_body_bytes: int = Field(50_000_000, ge=1024, description="Largest request body.")
    max_bundle_entries: int = Field(5000, ge=1, description="Most entries of a batch or transaction.")
    max_json_depth: int = Field(100, ge=10, le=200, description="Deepest nesting of a JSON body.")
    max_pending_writes: int = Field(1000, ge=1, description="Writes waiting for the writer before 429 is answered.")
    max_connections: int = Field(4000, ge=1, description="Open connections per worker before 503 is answered.")
    receive_seconds: float = Field(
        20.0, gt=0, description="Longest wait for a request's head, and pause within its body."
    )
    shutdown_seconds: int = Field(20, ge=0, description="How long running requests may finish after SIGTERM.")
    search_seconds: float = Field(10.0, gt=0, description="Time budget of one search.")
    search_steps: int = Field(
        1_000_000_000, ge=0, description="SQLite: virtual machine steps that one statement may take; 0 for any number."
    )
    explain: bool = Field(
        False, description="Development: answer a search that has the header X-Explain with its plan and statements."
    )
    snapshot_seconds: int = Field(3600, ge=60, description="How long a search's pages stay readable as they were.")
    reindex_share: float = Field(
        0.5,
        gt=0,
        le=1,
        description="Part of the time that a background job on the search index works; it rests between.",
    )
    enforce_references: bool = Field(False, description="Refuse references to resources that are not here.")
    questionnaire_validation: str = Field(
        "enforce",
        pattern="^(enforce|off)$",
        description="Whether a QuestionnaireResponse that does not fit its stored Questionnaire is refused.",
    )
    nhs_number_check: str = Field(
        "refuse",
        pattern="^(refuse|warn|off)$",
        description="What becomes of an NHS number with a wrong check digit; fhir-server load stores it and says so.",
    )
    export_folder: str = Field(
        "",
        description="Where the files of $export lie, and for a while those of $import. Empty: exports beside an SQLite "
        "file, or in the working folder.",
    )
    export_storage: str = Field(
        "",
        pattern=r"^(s3://[a-z0-9][a-z0-9.-]+(/[A-Za-z0-9._/-]*)?)?$",
        description="S3-compatible storage for the files of $export: s3://BUCKET/PREFIX, with the AWS_* variables of "
        "the environment. Empty: the folder.",
    )
    import_sources: str = Field(
        "", description="Comma-separated URLs below which $import fetches files. Empty: only Binaries of this server."
    )
    import_max_bytes: int = Field(
        20_000_000_000, ge=1024, description="Largest file that $import fetches, as it comes."
    )
    pseudonym_key: str = Field(
        "",
        repr=False,
        description="Secret of 32 characters or more, from which the pseudonyms of de-identified exports are made.",
    )
    jobs_seconds: float = Field(
        60.0, ge=0, description="How often serve looks whether a new day's windows and reminders are due; 0: never."
    )
    client_ids: bool = Field(True, description="Let PUT create resources under the client's id (R4 http.html#upsert).")
    strict_search: bool = Field(
        False, description="Refuse unknown search parameters even without Prefer: handling=strict."
    )
    sqlite_synchronous: str = Field("FULL", pattern="^(FULL|NORMAL)$", description="SQLite durability of a commit.")
    cors_origins: str = Field("", description="Comma-separated origins allowed by CORS; * for all; empty: none.")
    log_level: str = Field(
        "info", pattern="^(debug|info|warning|error)$", description="Least severe log level written."
    )
    access_log: bool = Field(
        True, description="Write one JSON line per request (route and parameter names, never values)."
    )

    @field_validator("database")
    @classmethod
    def _database_is_known(cls, value: str) -> str:
        if value.startswith("sqlite:///") and len(value) > len("sqlite:///"):
            return value
        if value.startswith(("postgresql://", "postgres://")):
            _require_readable(value)
            return value
        raise ValueError("must be sqlite:///PATH or postgresql://USER@HOST/NAME")

    @field_validator("base_url", "canonical_base")
    @classmethod
    def _url_is_absolute(cls, value: str) -> str:
        if value and not _is_web_address(value):
            raise ValueError("must be an absolute http or https URL")
        return value

    @field_validator("import_sources")
    @classmethod
    def _sources_are_absolute(cls, value: str) -> str:
        if not all(_is_web_address(one.strip()) for one in value.split(",") if one.strip()):
            raise ValueError("must be absolute http or https URLs, separated by commas")
        return value

    @field_validator("pseudonym_key")
    @classmethod
    def _key_is_long(cls, value: str) -> str:
        if value and len(value) < SHORTEST_KEY:
            raise ValueError(f"must have {SHORTEST_KEY} characters or more, made at random")
        return value

    @field_validator("clock")
    @classmethod
    def _clock_is_readable(cls, value: str) -> str:
        if value:
            try:
                moment_of(Path(value).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                raise ValueError("must be a file that holds an instant such as 2026-03-29T09:00:00+01:00") from None
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_are_addresses(cls, value: str) -> str:
        for name in filter(None, map(str.strip, value.split(","))):
            try:
                ip_network(name, strict=False)
            except ValueError:
                raise ValueError(f"{name} is not an IP address or network") from None
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_origins(cls, value: str) -> str:
        for origin in filter(None, map(str.strip, value.split(","))):
            if origin != "*" and (not _is_web_address(origin) or urlsplit(origin).path.strip("/")):
                raise ValueError(f"{origin} is not an origin such as https://app.example.org, nor *")
        return value

    @field_validator("time_zone")
    @classmethod
    def _zone_is_known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ValueError, OSError, KeyError):
            raise ValueError("is not a time zone such as Europe/London") from None
        return value

    @model_validator(mode="after")
    def _counts_fit(self) -> Self:
        if self.default_count > self.max_count:
            raise ValueError("default_count is larger than max_count")
        return self


def _require_readable(url: str) -> None:
    """Says nothing of what stands there: parts of a password would be in it."""
    try:
        hosts = urlsplit(url).netloc.rpartition("@")[2].split(",")
        # Asking for the port is what raises when it is none.
        readable = "#" not in url and all(urlsplit(f"//{host}").port != 0 for host in hosts)
    except ValueError:
        readable = False
    if not readable:
        raise ValueError(
            "cannot be read: a port is a number; in a user or password # / ? @ [ : are written %23 %2F ..."
        )


def _is_web_address(value: str) -> bool:
    parts = urlsplit(value)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and " " not in value
