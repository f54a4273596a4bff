"""What the service counts for Prometheus: requests, latencies, refusals by reason and column, predictions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..contract import Contract
from .counters import Counters, Family
from .replies import REASONS, Reply

SECONDS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
STATUSES = (200, *sorted({status for status, _ in REASONS.values()}))
RULES = (
    "type",
    "required",
    "values",
    "pattern",
    "min_length",
    "max_length",
    "min",
    "max",
    "text_length",
)  # of a column
OTHERS = ("unknown", "object", "check", "transformer", "other", *(reason for reason in REASONS if reason != "contract"))
SHARES = tuple(number / 20 for number in range(1, 20))  # of probabilities
DECADES = tuple(digit * 10.0**power for power in range(-3, 10) for digit in (1, 2, 5))
N_BINS = 20  # of a number whose contract says its range


class Metrics:
    """The families and where each number stands, so that counting is an addition."""

    def __init__(self, contract: Contract, routes: Iterable[str], rows: Sequence[memoryview], worker: int) -> None:
        names = (*routes, "")
        self.contract = contract
        self.requests = Family(
            "model_requests_total", "counter", "Requests answered.", ("route", "status"),
            tuple((route, str(status)) for route in names for status in STATUSES),
        )  # fmt: skip
        self.seconds = Family(
            "model_request_seconds", "histogram", "Seconds from a whole request to its answer.", ("route",),
            tuple((route,) for route in names), SECONDS,
        )  # fmt: skip
        self.refusals = Family(
            "model_refusals_total", "counter", "Reasons of refusals, of a broken contract by column.",
            ("reason", "column"),
            tuple((rule, column) for column in contract.inputs for rule in RULES) + tuple((r, "") for r in OTHERS),
        )  # fmt: skip
        self.rows = Family("model_rows_total", "counter", "Records answered.")
        self.classes = Family(
            "model_predictions_total", "counter", "Predictions by class.", ("class",),
            tuple((label,) for label in contract.classes),
        )  # fmt: skip
        told = "Predicted values." if contract.task == "regression" else "Probability of the positive class."
        self.values = Family("model_prediction", "histogram", told, bounds=_bounds(contract))
        self.in_flight = Family("model_requests_in_flight", "gauge", "Requests at work.")
        self.connections = Family("model_connections", "gauge", "Open connections.")
        self.starts = Family("model_worker_starts_total", "counter", "Workers started, also those that took over.")
        self.logged = Family(
            "model_log_records_total", "counter", "Records of the prediction log, by what became of them.", ("what",),
            (("written",), ("lost",), ("torn",)),
        )  # fmt: skip
        own = [self.requests, self.seconds, self.refusals, self.rows, self.in_flight, self.connections, self.starts]
        own += [self.logged]
        own += [] if contract.task == "regression" else [self.classes]
        own += [] if contract.task == "multiclass" else [self.values]
        self.counters = Counters(own, rows, worker)
        self.row = self.counters.row
        self.at_work, self.open = self.in_flight.places[()], self.connections.places[()]
        self._values = self.values.places.get(())
        self._positive = contract.classes[1] if contract.task == "binary" else None

    def count(self, route: str, reply: Reply, seconds: float) -> None:
        """Count one answered request."""
        self.row[self.requests.places[route, str(reply.status)]] += 1.0
        self.counters.observe(self.seconds, self.seconds.places[route,], seconds)
        places = self.refusals.places
        for (rule, column), number in reply.reasons:
            place = places.get((rule, column), places.get((rule, "")))
            self.row[places["other", ""] if place is None else place] += number

    def predicted(self, answers: Sequence[Mapping[str, Any]]) -> None:
        """Count the answers to records."""
        self.row[self.rows.places[()]] += len(answers)
        labels = [answer["prediction"] for answer in answers]
        if self.contract.task != "regression":
            for label, number in Counter(labels).items():
                self.row[self.classes.places[label,]] += number
        if self._values is not None:
            positive = self._positive
            values = labels if positive is None else [answer["probabilities"][positive] for answer in answers]
            self.counters.observe_all(self.values, self._values, values)

    def log(self, what: str, amount: int) -> None:
        """Count records of the prediction log."""
        self.row[self.logged.places[what,]] += amount

    def text(self, name: str, version: str) -> bytes:
        """Return all of it, and which model this is."""
        told = f'model_info{{name="{name}",version="{version}"}} 1'
        return (f"# HELP model_info The model.\n# TYPE model_info gauge\n{told}\n" + self.counters.text()).encode()


def _bounds(contract: Contract) -> tuple[float, ...]:
    """Return the upper bounds of the prediction histogram: of the target's declared range, or 1-2-5 a decade."""
    if contract.task != "regression":
        return SHARES
    target = contract.columns[contract.target]
    if target.min is None or target.max is None:
        return (*(-bound for bound in reversed(DECADES)), 0.0, *DECADES)
    low, high = float(target.min), float(target.max)
    return tuple(low + (high - low) * number / N_BINS for number in range(N_BINS + 1))
