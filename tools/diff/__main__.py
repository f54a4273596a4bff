"""Shows what changed between two revisions, as Markdown for a pull request, or as JSON.

    python -m tools.diff [BASE] [HEAD] [--json] [--rerun] [--why [--metric NAME]]

BASE is where HEAD left main unless said, HEAD is the workspace. Both models are measured on the test rows that both
revisions have. Predictions and data come from the workspace, the DVC cache or the remote; where they are not to be
had, from the reports that Git keeps, and the report says so; with --rerun, that commit's pipeline is run again.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from stages.shared.errors import InputError, run
from tools.diff import data, flips, gates, metrics, model, parameters, report
from tools.diff.pairing import Pairing
from tools.diff.revision import Revision, base_of_main, commit_of


def main() -> None:
    """Compare and print."""
    given = _arguments()
    commit_of("HEAD")  # or it is no repository, or one without commits
    if not Path("dvc.yaml").is_file():
        raise InputError("no dvc.yaml in this folder: run it at the top of the repository")
    with tempfile.TemporaryDirectory() as folder:
        base, head = Revision(given.base or base_of_main(), Path(folder)), Revision(given.head, Path(folder))
        if given.rerun:
            _rerun((base, head), Path(folder))
        sections = compare(base, head, Path(folder))
        if given.why:
            from tools.diff import why

            sections["why"] = why.compare(base, head, Path(folder), given.metric)
    revisions = {"base": base.commit, "head": head.commit, "verdict": report.verdict(sections)}
    if given.json:
        print(json.dumps({**revisions, **sections}, indent=1, sort_keys=True, default=str, ensure_ascii=False))
    else:
        print(report.markdown(f"What changed from {base} to {head}", sections))


def _rerun(revisions: tuple[Revision, ...], folder: Path) -> None:
    from tools.diff.rerun import PREDICTIONS, run_again

    for revision in revisions:
        if revision.commit and not revision.data(PREDICTIONS):
            print(f"diff: running {revision} again, for its predictions", file=sys.stderr, flush=True)
            fault = run_again(revision, folder)
            if fault:
                print(f"diff: {revision} cannot be made again here: {fault}", file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tools.diff", description=__doc__.split("\n")[0])
    parser.add_argument("base", nargs="?", help="a commit, branch or tag; where HEAD left main unless said")
    parser.add_argument("head", nargs="?", help="the same; the workspace unless said")
    parser.add_argument("--json", action="store_true", help="plain data instead of Markdown")
    parser.add_argument("--rerun", action="store_true", help="run a commit whose predictions are not to be had again")
    parser.add_argument("--why", action="store_true", help="also run mixtures: what came from data, code, parameters")
    parser.add_argument("--metric", help="the one that --why splits; the headline unless said")
    given = parser.parse_args()
    if given.metric and not given.why:
        parser.error("--metric is for --why")
    return given


def compare(base: Revision, head: Revision, folder: Path) -> dict[str, Any]:
    """Return what each section found, by its name."""
    pairing = Pairing(base, head, folder)
    return {
        "metrics": metrics.compare(base, head, pairing),
        "flips": flips.compare(head, pairing),
        "gates": gates.compare(base, head),
        "parameters": parameters.compare(base, head),
        "data": data.compare(base, head, folder),
        "model": model.compare(base, head),
    }


def _interrupted(signal_number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _interrupted)  # so that what is running is ended, and temporary folders go
    try:
        run("diff", main)
    except KeyboardInterrupt:
        sys.exit("diff: interrupted")
