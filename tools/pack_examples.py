"""Pack the specification's example resources into tests/data/r4_examples.ndjson.xz.

    npm pack hl7.fhir.r4.examples@4.0.1 && tar xzf hl7.fhir.r4.examples-4.0.1.tgz
    python tools/pack_examples.py package

Taken are files of at most 150 000 bytes; of the types that define R4 itself, and fill most of the package, only
those with `example` in their name. One line of the archive is one file: {"file": its name, "text": its text}.
"""

from __future__ import annotations

import json
import lzma
import sys
from pathlib import Path

TARGET = Path(__file__).parent.parent / "tests" / "data" / "r4_examples.ndjson.xz"
LARGEST = 150_000
"""Left out above: Bundles of whole registries, an implementation guide, scanned documents."""
DEFINITIONS = (
    "CodeSystem",
    "ConceptMap",
    "NamingSystem",
    "OperationDefinition",
    "SearchParameter",
    "StructureDefinition",
    "ValueSet",
)


def is_taken(file: Path) -> bool:
    if file.name in ("package.json", ".index.json") or file.stat().st_size > LARGEST:
        return False
    return "example" in file.name or file.name.partition("-")[0] not in DEFINITIONS


def main(package: Path) -> None:
    files = sorted(filter(is_taken, package.glob("*.json")))
    lines = [json.dumps({"file": f.name, "text": f.read_bytes().decode()}, ensure_ascii=False) for f in files]
    packed = lzma.compress("".join(f"{line}\n" for line in lines).encode(), preset=9 | lzma.PRESET_EXTREME)
    TARGET.write_bytes(packed)
    print(f"{len(files)} files, {len(packed)} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
