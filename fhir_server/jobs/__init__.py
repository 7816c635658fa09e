"""Scheduled work: what a new day makes of the steps of all plans."""
