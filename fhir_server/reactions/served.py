"""Every reaction of this server, one line each; those of one type run in this order."""

from __future__ import annotations

from fhir_server.reactions.registry import Reaction, ReactionRegistry

REACTIONS: tuple[Reaction, ...] = ()


def served_reactions() -> ReactionRegistry:
    return ReactionRegistry(REACTIONS)
