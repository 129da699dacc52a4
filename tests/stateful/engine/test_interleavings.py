"""Everything at once, store call by store call: the proof of docs/format.md §5, tried out.

Each seed is another history. A failure names its seed and prints every call; run it alone with
`LAMINA_SEED=… pytest …`. By night: `LAMINA_INTERLEAVINGS=20000 pytest …`.
"""

import os
import random
from pathlib import Path

import pytest

from tests.stateful.engine.world import World

_RUNS = int(os.environ.get("LAMINA_INTERLEAVINGS", "120"))
_SEED = os.environ.get("LAMINA_SEED")
_SEEDS = [int(_SEED)] if _SEED else range(_RUNS)
_BATCH = 20
_MOVES = 1200

_WEIGHTS = {
    World.step: 60,
    World.capture: 2.0,
    World.duplicate: 0.6,
    World.sweep: 1.8,
    World.delete: 1.2,
    World.restore: 0.5,
    World.compact: 0.5,
    World.verify: 0.1,
    World.kill: 0.35,
    World.pass_a_day: 0.12,
}


def live(seed, folder: Path):
    """One history from its seed."""
    chance = random.Random(seed)
    world = World(chance, cache_dir=folder / str(seed) if seed % 3 == 0 else None)
    try:
        world.capture()
        while world.step():
            pass
        for move in chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=_MOVES):
            move(world)
        world.finish()
    except BaseException as error:
        error.add_note(f"seed {seed}; the last calls:\n" + "\n".join(world.trace[-400:]))
        raise


@pytest.mark.parametrize("first", _SEEDS[::_BATCH])
def test_nothing_that_a_snapshot_needs_is_ever_removed_whoever_runs_beside_whom(first, tmp_path):
    for seed in _SEEDS[_SEEDS.index(first) :][:_BATCH]:
        live(seed, tmp_path)
