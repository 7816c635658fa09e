"""Golden vectors of the instruments (questionnaires/*/golden.json), computed apart from the scorer.

    python -m tools.golden            write all of them
    python -m tools.golden oks koos   write these

One module per family, each with `GOLDEN`, the files it makes. Nothing here imports fhir_server or reads a
scoring.json: a number here is plain arithmetic on the rule as its source states it, or typed from a published table.
"""
