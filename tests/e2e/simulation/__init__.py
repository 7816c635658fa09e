"""Months of care in seconds: synthetic patients who answer, forget, decline, move and die, through HTTP alone."""
