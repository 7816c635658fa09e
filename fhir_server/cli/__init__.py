"""The command line: one module per command, imported only when it is the one called."""
