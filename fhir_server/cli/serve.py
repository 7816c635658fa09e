"""`fhir-server serve`: check that it is safe to listen, bind, start the processes."""

from __future__ import annotations

import argparse
import socket
import sys

from fhir_server.cli.options import add_settings, settings_of
from fhir_server.cli.runtime_directory import runtime_directory
from fhir_server.http.origin import is_loopback
from fhir_server.settings import Settings

REFUSAL = """\
fhir-server: refusing to listen on {host}.
This server has no authentication: everybody who can reach it can read and change patient data.
Listen on 127.0.0.1 (the default) behind a proxy that authenticates, or, on a network where
everybody may see everything, add --insecure-no-auth."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_settings(parser)


def run(arguments: argparse.Namespace) -> int:
    settings = settings_of(arguments)
    try:
        addresses = socket.getaddrinfo(
            settings.host or None, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as error:
        print(f"fhir-server: --host {settings.host}: {error.strerror}", file=sys.stderr)
        return 2
    if not settings.insecure_no_auth and not all(
        is_loopback(str(address[4][0]).partition("%")[0]) for address in addresses
    ):
        print(REFUSAL.format(host=settings.host or "all addresses"), file=sys.stderr)
        return 2
    try:
        listener = _bind(addresses[0])
    except OSError as error:
        print(f"fhir-server: cannot listen on {settings.host}:{settings.port}: {error.strerror}", file=sys.stderr)
        return 1
    return _start(settings, listener)


def _start(settings: Settings, listener: socket.socket) -> int:
    # The server's parts take most of a second to import: not before the cheap refusals.
    from fhir_server.cli.migrate import migrate  # noqa: PLC0415
    from fhir_server.cli.processes import serve_alone, serve_supervised  # noqa: PLC0415

    # Once, before there are several processes; a database that cannot be used is told here, in words.
    migrate(settings.database)
    if settings.workers == 1:
        return serve_alone(settings, listener)
    with runtime_directory(settings.database) as directory:
        return serve_supervised(settings, listener, directory)


def _bind(
    address: tuple[int, int, int, str, tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]],
) -> socket.socket:
    family, kind, protocol, _, name = address
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(name)
    return listener
