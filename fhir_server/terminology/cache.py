"""What was made of stored resources, kept by the version it was made of and bounded by its weight."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class Cache:
    """Least recently used goes first. A key names versions, whose content never changes: nothing here goes stale."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._weight = 0
        self._kept: OrderedDict[Hashable, tuple[int, Any]] = OrderedDict()

    @property
    def weight(self) -> int:
        return self._weight

    def get(self, key: Hashable) -> Any:
        """None when it is not there."""
        found = self._kept.get(key)
        if found is None:
            return None
        self._kept.move_to_end(key)
        return found[1]

    def put(self, key: Hashable, value: Any, weight: int) -> None:
        """A value heavier than the whole cache is not kept."""
        if weight > self._limit:
            return
        if key in self._kept:
            self._weight -= self._kept.pop(key)[0]
        self._kept[key] = (weight, value)
        self._weight += weight
        while self._weight > self._limit:
            _, (dropped, _) = self._kept.popitem(last=False)
            self._weight -= dropped
