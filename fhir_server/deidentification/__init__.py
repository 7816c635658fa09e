"""Resources without who they are about: what is not known to be safe is dropped (docs/decisions/0013)."""
