"""Which files of this repository a module imports, directly or through others, read from the source with `ast`."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parent.parent


def import_closure(path: Path) -> set[Path]:
    """Return every file of ours that importing `path` may run, itself included, as paths relative to the root."""
    seen: set[Path] = set()
    waiting = [path]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += imports(current)
    return seen


def imports(path: Path) -> list[Path]:
    """Return the files of ours that one file imports, anywhere in it."""
    found = []
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parent = ".".join(path.parts[: -node.level]) if node.level else ""
            module = ".".join(part for part in (parent, node.module or "") if part)
            found += [module, *(f"{module}.{alias.name}" for alias in node.names)]
    candidates = [Path(name.replace(".", "/") + ".py") for name in found]
    return sorted({candidate for candidate in candidates if (ROOT / candidate).is_file()})
