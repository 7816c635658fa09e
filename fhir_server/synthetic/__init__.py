"""Synthetic MSK records: seeded, any size, valid R4, with no real person in them."""

from fhir_server.synthetic.population import generate

__all__ = ["generate"]
