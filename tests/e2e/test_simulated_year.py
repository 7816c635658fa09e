"""A simulated year of a few patients, two on each pathway, leaves nothing that cannot be (make torture: 200)."""

from tests.e2e.simulation.world import World
from tests.e2e.simulation.year import START, Year


def test_a_year_leaves_no_impossible_state(database_url, tmp_path):
    world = World(database_url, tmp_path, START)
    Year(patients=14, seed=1, stride=10).run(world)
    assert world.tally["500"] == 0
