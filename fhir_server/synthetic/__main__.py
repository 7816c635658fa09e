"""Write synthetic MSK records as NDJSON: python -m fhir_server.synthetic --resources 100000 --seed 1 > msk.ndjson"""

from __future__ import annotations

import argparse
import sys

import orjson

from fhir_server.synthetic.population import generate


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m fhir_server.synthetic", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same resources")
    parser.add_argument("--resources", type=_number, help="stop after so many resources")
    parser.add_argument("--patients", type=_number, help="stop after so many patients")
    options = parser.parse_args(arguments)
    if options.resources is None and options.patients is None:
        parser.error("say how much: --resources N or --patients N")
    write = sys.stdout.buffer.write
    for resource in generate(options.seed, patients=options.patients, resources=options.resources):
        write(orjson.dumps(resource))
        write(b"\n")


def _number(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is less than nothing")
    return number


if __name__ == "__main__":
    main()
