"""Terminology from stored CodeSystem and ValueSet resources: expansion, subsumption and membership.

`service.Terminology` is the way in. What it computes with is plain data without I/O (R4 terminologies.html).
"""
