"""Search (R4 search.html): what is indexed of a resource, and what a query string asks of the index."""
