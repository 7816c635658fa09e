"""Settings as command-line options: every field of `Settings` is one, named after it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable
from urllib.parse import urlsplit, urlunsplit

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from fhir_server.settings import Settings


def option_of(field: str) -> str:
    return f"--{field.replace('_', '-')}"


def variable_of(field: str) -> str:
    return f"FHIR_{field.upper()}"


def add_settings(parser: argparse.ArgumentParser, fields: Iterable[str] | None = None) -> None:
    """Add an option for each of `fields`, or for all."""
    group = parser.add_argument_group("settings", "Each may also be given as a FHIR_* variable.")
    for name in Settings.model_fields if fields is None else fields:
        field = Settings.model_fields[name]
        # Not given means: take the variable, else the default.
        if field.annotation is bool:
            group.add_argument(
                option_of(name),
                action=argparse.BooleanOptionalAction,
                default=argparse.SUPPRESS,
                help=_help(name, field),
            )
        else:
            group.add_argument(option_of(name), metavar="VALUE", default=argparse.SUPPRESS, help=_help(name, field))


def settings_of(arguments: argparse.Namespace) -> Settings:
    """The settings from options, variables and defaults, in that order; ends the program when one is wrong."""
    _warn_of_unknown_variables()
    given = {name: value for name, value in vars(arguments).items() if name in Settings.model_fields}
    try:
        return Settings(**given)
    except ValidationError as error:
        for problem in error.errors():
            message = problem["msg"].removeprefix("Value error, ")
            where = "".join(f"{option_of(str(name))} ({variable_of(str(name))}): " for name in problem["loc"][:1])
            print(f"fhir-server: {where}{message}", file=sys.stderr)
        raise SystemExit(2) from None


def _warn_of_unknown_variables() -> None:
    known = {variable_of(name) for name in Settings.model_fields}
    for name in sorted(os.environ):
        if name.startswith("FHIR_") and name not in known and not name.startswith("FHIR_TEST_"):
            print(f"fhir-server: {name} is no setting of this server and is passed over.", file=sys.stderr)


def positive(text: str) -> int:
    """A whole number from 1, for argparse."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number from 1")
    return number


def without_password(database: str) -> str:
    """The database's URL as it may be shown."""
    parts = urlsplit(database)
    if parts.password is None:
        return database
    user, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user.partition(':')[0]}:***@{host}"))


def _help(name: str, field: FieldInfo) -> str:
    default = f" Default: {field.default}." if field.default not in ("", False, True) else ""
    return f"{field.description}{default} ({variable_of(name)})".replace("%", "%%")
