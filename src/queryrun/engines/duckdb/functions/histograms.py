"""numeric_histogram: a bounded number of buckets, each a mean and what came to it."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

from queryrun.engines.duckdb.functions.registry import UnsupportedError, worker_function

_BUFFER_SHARE = 0.2
"""How many values more than buckets are held before they are merged; at least one."""


@dataclass(slots=True, eq=False)
class _Bucket:
    """A bucket between its neighbours. It is replaced when it or the next one changes."""

    number: int
    value: float
    weight: float
    left: _Bucket | None = None
    right: _Bucket | None = None
    is_replaced: bool = False

    def linked(self, left: _Bucket | None, right: _Bucket | None) -> _Bucket:
        """Itself, between these."""
        self.left, self.right = left, right
        if left is not None:
            left.right = self
        if right is not None:
            right.left = self
        return self

    def penalty(self) -> float:
        """What is lost when it is merged with the next one: the growth of the variance."""
        if self.right is None:
            return math.inf
        total = self.weight + self.right.weight
        distance = self.value - self.right.value
        return total * (distance * distance) * (self.weight * self.right.weight / (total * total))


@worker_function("qr_numeric_histogram(BIGINT, DOUBLE[], DOUBLE[]) -> MAP(DOUBLE, DOUBLE)")
def _numeric_histogram(
    buckets: int, values: list[float], weights: list[float]
) -> dict[float, float]:
    """Of the values in this order: once the buffer is full, what came before is merged."""
    size = buckets + max(int(buckets * _BUFFER_SHARE), 1)
    held: list[tuple[float, float]] = []
    for value, weight in zip(values, weights, strict=True):
        if not (math.isfinite(value) and math.isfinite(weight)):
            raise UnsupportedError("numeric_histogram of a number that is not finite")
        if len(held) == size:
            held = _compacted(held, buckets)
        held.append((value, weight))
    return dict(_compacted(held, buckets))


def _compacted(held: list[tuple[float, float]], buckets: int) -> list[tuple[float, float]]:
    """Equal values as one, and then as many buckets as there may be."""
    found: list[tuple[float, float]] = []
    for value, weight in sorted(held, key=lambda one: (one[0], math.copysign(1, one[0]))):
        if found and found[-1][0] == value:
            found[-1] = (found[-1][0], found[-1][1] + weight)
        else:
            found.append((value, weight))
    return found if len(found) <= buckets else _merged(found, buckets)


def _merged(held: list[tuple[float, float]], buckets: int) -> list[tuple[float, float]]:
    """Neighbours merged, those first that lose least."""
    entries, right = [], None
    for number in reversed(range(len(held))):
        right = _Bucket(number, *held[number]).linked(None, right)
        entries.append(right)
    queue = [_entry(bucket) for bucket in entries]
    heapq.heapify(queue)
    left = len(held)
    while left > buckets:
        bucket = heapq.heappop(queue)[-1]
        if not bucket.is_replaced:
            _merge_with_next(bucket, queue)
            left -= 1
    return sorted((b.value, b.weight) for *_, b in queue if not b.is_replaced)


def _entry(bucket: _Bucket) -> tuple[float, int, int, _Bucket]:
    return bucket.penalty(), bucket.number, id(bucket), bucket


def _merge_with_next(bucket: _Bucket, queue: list[tuple[float, int, int, _Bucket]]) -> None:
    following, before = bucket.right, bucket.left
    if following is None:  # it loses infinitely much
        raise ValueError("the last bucket has nothing to be merged with")
    weight = bucket.weight + following.weight
    value = (bucket.value * bucket.weight + following.value * following.weight) / weight
    bucket.is_replaced = following.is_replaced = True
    merged = _Bucket(bucket.number, value, weight).linked(None, following.right)
    heapq.heappush(queue, _entry(merged))
    if before is not None:
        before.is_replaced = True
        anew = _Bucket(before.number, before.value, before.weight).linked(before.left, merged)
        heapq.heappush(queue, _entry(anew))
