"""Quotes of a CSV line by line: whether a field goes on behind the line's end, as the reader of tables sees it."""

from __future__ import annotations

import re


class Quotes:
    """The quotes of lines that are read a character a byte (Latin-1), whatever their encoding is.

    One space may stand before the quote that opens a field; after the one that closes it none opens.
    """

    def __init__(self, quote: str, delimiter: str, escape: str) -> None:
        self.quote, delimiter, escape = (mark.encode().decode("latin-1") for mark in (quote, delimiter, escape))
        if not self.quote:
            return
        other = f"[^{re.escape(self.quote + escape)}]*+"
        skipped = re.escape(escape) + "." if escape else re.escape(self.quote) * 2
        self._opening = re.compile(f"(?:^|{re.escape(delimiter)}) ?{re.escape(self.quote)}", re.DOTALL)
        self._closing = re.compile(f"{other}(?:{skipped}{other})*+{re.escape(self.quote)}", re.DOTALL)

    def goes_on(self, line: str, is_quoted: bool) -> bool:
        """Return whether the line ends within quotes; `is_quoted`: it begins within them. Without quotes none does."""
        if not self.quote or self.quote not in line:
            return is_quoted
        place = 0
        while True:
            if not is_quoted:
                opened = self._opening.search(line, place)
                if not opened:
                    return False
                place = opened.end()
            closed = self._closing.match(line, place)
            if not closed:
                return True
            place, is_quoted = closed.end(), False
