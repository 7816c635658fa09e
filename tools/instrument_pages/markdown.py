"""Markdown tables and links."""

from __future__ import annotations

from collections.abc import Iterable


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> list[str]:
    lines = [head, tuple("---" for _ in head), *rows]
    return [f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines]


def _cell(text: str) -> str:
    return text.replace("\\|", "|").replace("|", "\\|")


def text(lines: Iterable[str]) -> str:
    return "\n".join(lines).rstrip() + "\n"


def doi(doi: str) -> str:
    return f"[doi:{doi}](https://doi.org/{doi})"
