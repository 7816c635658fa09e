"""Bulk export: what operations/export.py planned, read page by page and written by a process of its own."""
