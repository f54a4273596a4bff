"""The test rows that both revisions have, loaded once for the sections that need them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.shared.tables import connect
from tools.diff.data import chosen_data
from tools.diff.revision import Revision

if TYPE_CHECKING:
    import duckdb

    from tools.diff.predicted import Paired


class Pairing:
    """Both revisions' predictions side by side: `paired`, None where they are not to be had; `notes` says why."""

    def __init__(self, base: Revision, head: Revision, folder: Path) -> None:
        """Spills into `folder`."""
        self.connection: duckdb.DuckDBPyConnection = connect()
        self.connection.execute(f"SET temp_directory = '{folder / 'spill'}'")
        self.notes: list[str] = []
        self.why_not_comparable = _what_differs(*(_declared(revision) for revision in (base, head)))
        self.paired = None if self.why_not_comparable else self._pair(base, head)
        if self.why_not_comparable:
            self.notes.append(f"The models are not compared: {self.why_not_comparable}.")

    def _pair(self, base: Revision, head: Revision) -> Paired | None:
        from tools.diff.predicted import load, pair

        found = [load(self.connection, revision) for revision in (base, head)]
        for revision, side in zip((base, head), found, strict=True):
            if isinstance(side, str):
                self.notes.append(f"No predictions of {revision}: {side}.")
        before, after = found
        if isinstance(before, str) or isinstance(after, str):
            return None
        classes = [{"classes": ", ".join(sorted(side.contract.classes))} for side in (before, after)]
        self.why_not_comparable = _what_differs(*classes)
        if self.why_not_comparable:
            return None
        paired = pair(self.connection, before, after, _source(base) == _source(head) is not None)
        if isinstance(paired, str):
            self.notes.append(f"Not paired: {paired}.")
            return None
        return paired


def _declared(revision: Revision) -> dict[str, Any]:
    """Return what makes two models comparable, as the contract in Git says it."""
    name, conf = chosen_data(revision)
    columns = {key: column for key, column in conf["columns"].items() if isinstance(column, dict)}
    target = next((key for key, column in columns.items() if column.get("role") == "target"), None)
    return {"table": name, "task": conf.get("task"), "target": target, "positive class": conf.get("positive")}


def _what_differs(base: dict[str, Any], head: dict[str, Any]) -> str | None:
    for what, before in base.items():
        now = "are" if what == "classes" else "is"
        if before != head[what]:
            return f"the {what} {'were' if what == 'classes' else 'was'} {before} and now {now} {head[what]}"
    return None


def _source(revision: Revision) -> str | None:
    """Return the hash of the source that the revision's data were made from, None where it is not known."""
    deps = (((revision.lock or {}).get("stages") or {}).get("prepare") or {}).get("deps", [])
    return next((dep["md5"] for dep in deps if dep["path"].startswith("data/raw/")), None)
