"""The page at `/` where a person can try the model; it loads nothing but itself and asks nobody but its own service."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from typing import Any

from ...contract import Contract
from .form import fields, involved, texts
from .look import STYLE
from .script import SCRIPT

SCALE = {"binary": ", in log odds before calibration", "regression": ", in the target's unit or its logarithm"}
PAGES = {"openapi.json": "OpenAPI", "schema": "Schema", "health": "Health", "metrics": "Metrics"}


def page(
    contract: Contract, meta: Mapping[str, Any], name: str, version: str, examples: list[dict[str, Any]], locked: bool
) -> str:
    """Return the page; `examples` are records, of which the first is filled in, `locked` asks for an API key.

    `meta` is the model's model.json. No style or script stands elsewhere than in the two elements that `policy` names.
    """
    shown = [texts(contract, record) for record in examples]
    target = contract.columns[contract.target]
    asked = f"Predicts {contract.target}" + (f": {target.description}" if target.description else "")
    another = '<button type="button" id="next">Next example</button>' if len(shown) > 1 else ""
    key = (
        '<div class="field"><label for="key">API key</label>'
        '<input id="key" type="password" autocomplete="off"><p class="hint">of this service</p></div>'
    )
    pages = {"health": "Health"} if locked else PAGES
    links = "\n".join(f'<a href="{path}">{title}</a>' for path, title in pages.items())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(name)}</title>
<link rel="icon" href="data:,">
<style>{STYLE}</style>
</head>
<body>
<header>
<h1>{escape(name)}</h1>
<p>{escape(asked)}. Version {escape(version)}.</p>
<nav aria-label="About the service">{links}</nav>
</header>
<main>
<form id="form" novalidate aria-label="A record">
<section id="faults" role="alert" tabindex="-1" hidden><h2 id="count"></h2><ul id="problems"></ul></section>
<div class="fields">
{key if locked else ""}
{fields(contract, shown)}
</div>
<div class="buttons"><button class="main">Predict</button>{another}
<button type="button" id="clear">Clear</button></div>
</form>
<section class="answer" id="answer" aria-labelledby="answer-heading">
<h2 id="answer-heading">Answer</h2>
<div id="result" aria-live="polite"><p class="small">Fill the form in and press Predict.</p></div>
<div id="parts"></div>
</section>
</main>
<script type="application/json" id="told">{_embedded(_told(contract, meta, shown))}</script>
<script>{SCRIPT}</script>
</body>
</html>
"""


def policy() -> str:
    """Return the Content-Security-Policy of the page: style and script by their hashes, and nothing else."""
    style, script = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (STYLE, SCRIPT))
    return (
        f"default-src 'none'; style-src 'sha256-{style}'; script-src 'sha256-{script}'; connect-src 'self'; "
        "img-src data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )


def _told(contract: Contract, meta: Mapping[str, Any], shown: list[list[str]]) -> dict[str, Any]:
    """Return what the script has to know."""
    return {
        "columns": contract.inputs,
        "involved": involved(contract),
        "examples": shown,
        "task": meta["task"],
        "target": contract.target,
        "scale": SCALE.get(meta["task"], ""),
    }


def _embedded(content: dict[str, Any]) -> str:
    """Return JSON that no HTML parser takes for the end of its element."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True).replace("<", "\\u003c")
