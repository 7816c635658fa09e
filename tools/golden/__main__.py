"""Write questionnaires/<instrument>/golden.json for the instruments named, or for all."""

from __future__ import annotations

import sys

from tools.golden.vectors import all_golden


def main(named: list[str]) -> None:
    golden = {made.instrument: made for made in all_golden()}
    if unknown := sorted(set(named) - set(golden)):
        sys.exit(f"No module of tools/golden makes {', '.join(unknown)}; known: {', '.join(sorted(golden))}.")
    for instrument in named or sorted(golden):
        golden[instrument].write()
        print(f"{instrument}: {len(golden[instrument].vectors)} vectors")


if __name__ == "__main__":
    main(sys.argv[1:])
