"""Rankings: one person's order of the replies to a message, and the order that several persons agree on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

Order = tuple[int, ...]
"""Replies, best first, by id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranking:
    """One person's ranking of the replies to a message; `annotation_id` is the judgement it is kept as."""

    annotation_id: int
    tree_id: int
    parent_id: int
    person_id: int
    order: Order
    not_rankable: bool | None
    created_at: int


def consensus(orders: Sequence[Order]) -> Order:
    """The order on which the rankings agree best, by ranked pairs (Tideman); empty when fewer than two ids are common.

    Only ids that every ranking holds take part. Majorities are locked in from the greatest margin down, unless they
    close a circle. Ties go to the order of the first ranking, so the same rankings always give the same result.
    """
    if not orders:
        return ()
    common = set(orders[0]).intersection(*map(set, orders))
    first = [item for item in orders[0] if item in common]
    if len(first) < 2:
        return ()
    beaten: dict[int, set[int]] = {item: set() for item in first}
    for winner, loser in _majorities(first, orders):
        if not _reaches(beaten, loser, winner):
            beaten[winner].add(loser)
    return _sorted(first, beaten)


def _majorities(items: Sequence[int], orders: Sequence[Order]) -> list[tuple[int, int]]:
    """The pairs (winner, loser) by falling margin; a pair that is tied has no majority."""
    places = [{item: place for place, item in enumerate(order)} for order in orders]
    found: list[tuple[int, tuple[int, int]]] = []
    for one, other in combinations(items, 2):
        margin = sum(1 if place[one] < place[other] else -1 for place in places)
        if margin:
            found.append((-abs(margin), (one, other) if margin > 0 else (other, one)))
    return [pair for _, pair in sorted(found, key=lambda entry: entry[0])]


def _reaches(beaten: Mapping[int, set[int]], start: int, target: int) -> bool:
    seen, ahead = {start}, [start]
    while ahead:
        step = ahead.pop()
        if step == target:
            return True
        new = beaten[step] - seen
        seen |= new
        ahead.extend(new)
    return False


def _sorted(items: Sequence[int], beaten: Mapping[int, set[int]]) -> Order:
    """The items so that everybody stands before whom they beat."""
    left, order = list(items), []
    while left:
        best = next(item for item in left if not any(item in beaten[other] for other in left))
        left.remove(best)
        order.append(best)
    return tuple(order)


def ranks(orders: Mapping[int, Sequence[Order]]) -> dict[int, int]:
    """The rank (0 is the best) of every reply on which the rankings of its parent agree, by reply id."""
    return {item: place for rankings in orders.values() for place, item in enumerate(consensus(rankings))}


def agreement(orders: Sequence[Order], better: int, worse: int) -> tuple[int, int]:
    """How many rankings put `better` before `worse`, and how many compare the two at all."""
    both = [order for order in orders if better in order and worse in order]
    return sum(order.index(better) < order.index(worse) for order in both), len(both)
