"""Many resources at once."""
