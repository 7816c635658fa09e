"""Header values made of a name and parameters: media types, codings and how much each is wanted.

RFC 9110 sections 5.6.6 and 12.4.2.
"""

from __future__ import annotations


def name_and_parameters(value: str) -> tuple[str, dict[str, str]]:
    """`Text/HTML; Charset=utf-8` as ("text/html", {"charset": "utf-8"})."""
    name, *rest = value.split(";")
    parameters = {}
    for parameter in rest:
        key, _, given = parameter.partition("=")
        parameters[key.strip().lower()] = given.strip().strip('"')
    return name.strip().lower(), parameters


def quality(parameters: dict[str, str]) -> float:
    """How much it is wanted, 0 to 1; what is not a number is not wanted."""
    try:
        return float(parameters.get("q", "1"))
    except ValueError:
        return 0.0
