"""One file for each search parameter type: how it is indexed and how it is matched (R4 search.html#ptypes)."""
