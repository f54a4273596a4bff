"""The whole report as one page of fixed bytes that needs nothing but itself."""

from __future__ import annotations

import re
from html import escape

from stages.shared.report.parts import Html
from stages.shared.report.style import SCRIPT, STYLE


def page(title: str, description: str, sections: list[Html]) -> str:
    """Return the page; its index lists the headings of the sections that have contents."""
    body = "".join(sections)
    headings = re.findall(r'<h2 id="([^"]+)">([^<]*)</h2>', body)
    links = "".join(f'<li><a href="#{name}">{heading}</a></li>' for name, heading in headings)
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,"><title>{escape(title)}</title>
<style>{STYLE}</style></head><body>
<header><h1>{escape(title)}</h1><p>{escape(description)}</p>
<nav aria-label="Sections"><ul>{links}</ul></nav></header>
<main>
{body}</main>
<script>{SCRIPT}</script></body></html>
"""
