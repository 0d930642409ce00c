"""What became of items once all went well again, held against one that nobody disturbed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from tests.prove.declared import Scenario
from tests.prove.figures import Figures, Sort
from tests.prove.world import World, differences

Wrong = tuple[Sort, str]
TOGETHER = "all together"
"""The point of what concerns no single one."""


def judge(
    world: World,
    scenario: Scenario,
    points: Mapping[str, str],
    model: Mapping[str, object],
    figures: Figures,
    wrong: Mapping[str, Sequence[Wrong]] = {},
) -> None:
    """Run clean passes over items until they are settled, and judge each of them.

    `points`: by item, what was done to it; `wrong`: by item, what was wrong meanwhile.
    """
    names = [*points]
    unsettled = world.settle(names, scenario)
    ids = {name: str(world.id(name)) for name in names}
    for name, point in points.items():
        stuck: list[Wrong] = [("stuck", each) for each in unsettled if ids[name] in each]
        figures.judge(point, [*wrong.get(name, ()), *stuck, *unlike(world.inventory(name), model)])
    others = [each for each in unsettled if not any(slug in each for slug in ids.values())]
    figures.fall_short(TOGETHER, [("stuck", each) for each in others])


def unlike(found: Mapping[str, object], model: Mapping[str, object]) -> list[Wrong]:
    """Return in what an item's inventory differs from that of one that nobody disturbed."""
    return [(_sort_of(each), each) for each in differences(found, model)]


def _sort_of(difference: str) -> Sort:
    counts = re.search(r": (\d+) instead of (\d+)$", difference)
    if counts is None:
        return "stuck"
    return "duplicated" if int(counts[1]) > int(counts[2]) else "lost"
