"""Every reaction of this server, one line each; those of one type run in this order."""

from __future__ import annotations

from fhir_server.reactions.nhs_number import CHECK_NHS_NUMBER
from fhir_server.reactions.registry import Reaction, ReactionRegistry

REACTIONS: tuple[Reaction, ...] = (CHECK_NHS_NUMBER,)


def served_reactions() -> ReactionRegistry:
    return ReactionRegistry(REACTIONS)
