"""Bulk import: what operations/imports.py accepted is fetched to disk, and stored as fhir-server load stores it."""
