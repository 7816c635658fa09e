"""The simulated year with two hundred patients: no step, plan, referral or slot in a state that cannot be."""

import pytest

from tests.e2e.simulation.world import World
from tests.e2e.simulation.year import START, Year


@pytest.mark.torture
def test_a_year_of_two_hundred_patients(database_url, tmp_path):
    world = World(database_url, tmp_path, START)
    Year(patients=200, seed=1, restarts=6).run(world)
    print(dict(world.tally))
