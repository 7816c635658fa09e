"""Write the pages; those of instruments that are gone are removed."""

from __future__ import annotations

from tools.instrument_pages import PLACE, ROOT, generated


def main() -> None:
    folder = ROOT / PLACE
    folder.mkdir(exist_ok=True)
    pages = generated()
    for path in folder.glob("*.md"):
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
