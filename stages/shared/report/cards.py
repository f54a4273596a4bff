"""Both cards in the report: their Markdown as HTML, folded. Knows what our cards are written in, and nothing more."""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from stages.shared.errors import InputError
from stages.shared.report.parts import Html, details, paragraph, section, table

INLINE = re.compile(
    r"(?P<fence>`+) ?(?P<code>.+?) ?(?P=fence)|\*\*(?P<bold>.+?)\*\*|\\(?P<plain>.)|(?P<text>[^`*\\]+|.)"
)
CELLS = re.compile(r"(?<!\\)\|")


def cards(folder: Path) -> list[Html]:
    """Return a section for each card in reports/package. Raises InputError where one is absent."""
    named = [("model_card", "Model card", "card.md"), ("data_card", "Data card", "data_card.md")]
    return [section(name, title, [details(f"package/{file}", rendered(read(folder / file)))])
            for name, title, file in named]  # fmt: skip


def read(path: Path) -> str:
    """Return a card. Raises InputError where it is absent."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; `dvc repro` makes it")
    return path.read_text(encoding="utf-8")


def rendered(card: str) -> Html:
    """Return the Markdown of a card as HTML; the metadata at its top is left out."""
    blocks = re.sub(r"\A---\n.*?\n---\n", "", card, flags=re.DOTALL).strip().split("\n\n")
    shown, title = "", ""
    for block in blocks:
        lines = block.split("\n")
        if lines[0].startswith("#"):
            title = lines[0].lstrip("# ")
            shown += f"<h3>{inline(title)}</h3>\n" if lines[0].startswith("##") else ""
        elif lines[0].startswith("|"):
            shown += _table(plain(title), lines)
        elif lines[0].startswith("- "):
            shown += f"<ul>{''.join(f'<li>{inline(line[2:])}</li>' for line in lines)}</ul>\n"
        else:
            shown += paragraph(Html(inline(" ".join(lines))))
            title = block if block.endswith(":") else title
    return Html(shown)


def _table(caption: str, lines: list[str]) -> Html:
    rows = [[cell.strip() for cell in CELLS.split(line)[1:-1]] for line in lines]
    header = [plain(name) for name in rows[0]]
    return table(caption, header, [[inline(row[0]), *(Html(f"<td>{inline(cell)}</td>") for cell in row[1:])]
                                   for row in rows[2:]])  # fmt: skip


def inline(text: str) -> Html:
    """Return a line with its code and bold words as HTML, all else escaped."""
    pieces = []
    for found in INLINE.finditer(text):
        if found["code"]:
            pieces.append(f"<code>{escape(found['code'].replace(chr(92) + '|', '|'))}</code>")
        elif found["bold"]:
            pieces.append(f"<strong>{escape(found['bold'])}</strong>")
        else:
            pieces.append(escape(found["plain"] or found["text"]))
    return Html("".join(pieces))


def plain(text: str) -> str:
    """Return a line without its Markdown."""
    return "".join(found["code"] or found["bold"] or found["plain"] or found["text"] for found in INLINE.finditer(text))
