"""Enough of curl for the README's requests, for machines without it. A status of 400 or more is a failure."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def main() -> int:
    parser = argparse.ArgumentParser(prog="curl")
    parser.add_argument("url")
    parser.add_argument("-X", "--request")
    parser.add_argument("-H", "--header", action="append", default=[])
    parser.add_argument("-d", "--data", "--data-binary")
    parser.add_argument("-o", "--output", type=Path)
    parser.add_argument("-s", "--silent", action="store_true")
    options = parser.parse_args()
    body = _body(options.data)
    headers = dict(header.split(": ", 1) for header in options.header)
    request = Request(options.url, body, headers, method=options.request or ("GET" if body is None else "POST"))
    try:
        with urlopen(request, timeout=60) as answer:
            content = answer.read()
    except HTTPError as refusal:
        print(f"{options.url}: {refusal.code} {refusal.read().decode()}", file=sys.stderr)
        return 22
    if options.output:
        options.output.write_bytes(content)
    else:
        sys.stdout.buffer.write(content)
    return 0


def _body(data: str | None) -> bytes | None:
    if data is None:
        return None
    if data == "@-":
        return sys.stdin.buffer.read()
    return Path(data[1:]).read_bytes() if data.startswith("@") else data.encode()


if __name__ == "__main__":
    sys.exit(main())
