"""What is wrong with a request that another server's protocol wraps around records."""

from __future__ import annotations

from dataclasses import dataclass

MOST_FAULTS = 1000  # a body of some megabytes could have a million
# The rules of wrappers, beside the contract's own, and what is told of each.
RULES = {
    "object": "should be an object of columns and values",
    "array": "should be a list",
    "text": "should be a text",
    "absent": "should be there",
    "form": "should have exactly one of dataframe_split, dataframe_records, instances and inputs",
    "unknown_key": "is no key of the protocol",
    "unknown_output": "is no output of the model",
    "duplicate": "should stand there once",
    "shape": "should have as many values as declared, and as the others",
    "element": "should be of the data type of its tensor",
    "columns": "should have fewer columns",
    "datatype": "should be a data type of the protocol",
    "binary": "should be JSON: binary tensors are not taken",
    "csv": "should be CSV with a header",
}


@dataclass(frozen=True)
class Fault:
    """One broken rule of a wrapper: of a column or a key, of a row from 0, or of the whole."""

    column: str
    rule: str
    row: int | None = None


class RefusedRequest(ValueError):
    """A request whose records cannot be found; `faults` says all that is wrong with it."""

    def __init__(self, faults: list[Fault]) -> None:
        self.faults = faults
        super().__init__("; ".join(f"{fault.column}: {fault.rule}" for fault in faults))


class Faults:
    """What is wrong with a request so far; refuses at once when it is more than anybody reads."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, column: str, rule: str, row: int | None = None) -> None:
        """Note one. Raises RefusedRequest where there are too many."""
        self.found.append(Fault(column, rule, row))
        if len(self.found) >= MOST_FAULTS:
            raise RefusedRequest(self.found)

    def refuse(self) -> None:
        """Raise RefusedRequest where anything is wrong."""
        if self.found:
            raise RefusedRequest(self.found)
