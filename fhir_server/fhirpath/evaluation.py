"""One evaluation: its budget, variables, clock and the services of the host (docs/fhirpath.md)."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Protocol

from fhir_server.errors import FhirError
from fhir_server.fhirpath.node import Item, Node
from fhir_server.fhirpath.temporal import Temporal
from fhir_server.fhirpath.types import TypeInfo


class EvaluationError(FhirError):
    """An expression that has no meaning for the data at hand; the text names the column."""

    code = "processing"
    position: int | None = None
    """0-based offset in the expression."""

    def placed(self, position: int) -> EvaluationError:
        """The same error with its place, unless it has one."""
        if self.position is not None:
            return self
        text = f"{str(self).removesuffix('.')}, at column {position + 1} of the FHIRPath expression."
        located = type(self)(text)
        located.position = position
        return located


class BudgetExceeded(EvaluationError):
    """The expression costs more than it may."""

    code = "too-costly"


class Services(Protocol):
    """What only the host knows. Each method may return None: not known."""

    def resolve(self, reference: str) -> dict[str, Any] | None:
        """The resource a reference, canonical or URL points at."""

    def member_of(self, value_set: str, codings: list[tuple[str, str]]) -> bool | None:
        """Whether one of the codings (system, code) is in the value set; a bare code has the system ''."""

    def subsumes(self, system: str, ancestor: str, descendant: str) -> bool | None:
        """Whether the first code subsumes the second one."""

    def conforms_to(self, resource: dict[str, Any], profile: str) -> bool | None:
        """Whether the element conforms to the StructureDefinition `profile`."""


@dataclass(frozen=True, slots=True)
class Budget:
    """What one evaluation may cost."""

    steps: int = 1_000_000
    """Items handled and functions called."""
    items: int = 100_000
    """Most items in one collection."""
    seconds: float = 2.0
    string_length: int = 1_000_000
    """Longest string made, in characters."""


DEFAULT_BUDGET = Budget()
_FIRST_SLICE = 1_000
_SLICE = 5_000
"""Steps between two looks at the clock."""


class Evaluation:
    """The state of one evaluation; never shared."""

    index: int | None = None
    """`$index`"""
    left = _FIRST_SLICE
    """Steps before the next look at the clock."""
    spent = _FIRST_SLICE
    deadline = 0.0

    variables: dict[str, Any] | None = None
    services: Services | None = None
    budget = DEFAULT_BUDGET
    instant: datetime | None = None
    total: list[Item] = []  # noqa: RUF012 (never changed in place)
    """`$total`"""

    def __init__(self, value: Any, info: TypeInfo) -> None:
        # Making one is most of what a short expression costs: the rest is set by `configure`, if at all.
        self.value = value
        """What the expression is evaluated on."""
        self.info = info

    def configure(
        self, variables: Mapping[str, Any] | None, services: Services | None, budget: Budget, now: datetime | None
    ) -> None:
        """Set what differs from the defaults."""
        self.variables = dict(variables) if variables else None
        self.services = services
        self.instant = now
        self.budget = budget
        if budget.steps < _FIRST_SLICE:
            self.left = self.spent = budget.steps

    @cached_property
    def root(self) -> Node:
        """The same as a node."""
        return self.value if type(self.value) is Node else Node(self.value, self.info)

    def charge(self, steps: int) -> None:
        """Count work. Raises BudgetExceeded."""
        self.left -= steps
        if self.left < 0:
            self._take_slice()

    def _take_slice(self) -> None:
        now = time.monotonic()
        if not self.deadline:
            self.deadline = now + self.budget.seconds
        elif now > self.deadline:
            raise BudgetExceeded(f"The FHIRPath expression took more than {self.budget.seconds:g} seconds.")
        self.spent -= self.left
        if self.spent > self.budget.steps:
            raise BudgetExceeded(f"The FHIRPath expression took more than {self.budget.steps} steps.")
        self.left = min(_SLICE, self.budget.steps - self.spent)
        self.spent += self.left

    def keep(self, items: list[Item]) -> list[Item]:
        """`items`, charged. Raises BudgetExceeded when there are too many."""
        size = len(items)
        if size > self.budget.items:
            raise BudgetExceeded(f"The FHIRPath expression made a collection of more than {self.budget.items} items.")
        self.charge(size + 1)
        return items

    def text(self, length: int) -> None:
        """Allow a string of `length` characters. Raises BudgetExceeded."""
        if length > self.budget.string_length:
            limit = self.budget.string_length
            raise BudgetExceeded(f"The FHIRPath expression made a string of more than {limit} characters.")
        self.charge(1 + (length >> 6))

    def now(self) -> Temporal:
        """The same moment however often it is asked for (N1 now)."""
        moment = self.moment()
        offset = moment.utcoffset()
        assert offset is not None
        parts = (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)
        minutes = offset.days * 1440 + offset.seconds // 60
        return Temporal("dateTime", parts, f"{moment.microsecond // 1000:03}", minutes)

    def moment(self) -> datetime:
        if self.instant is None:
            self.instant = datetime.now(UTC)
        elif self.instant.tzinfo is None:
            self.instant = self.instant.replace(tzinfo=UTC)
        return self.instant
