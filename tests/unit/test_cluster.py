"""How a cluster is divided among workers."""

import pytest

from revector.distributed.cluster import Division, Machine, division, machines_among
from revector.errors import InvalidArgumentError


@pytest.mark.parametrize(
    ("machines", "workers", "expected"),
    [
        ([(2, 0)], 2, (2, 1)),
        ([(1, 0), (1, 0)], None, (2, 1)),
        ([(16, 0)] * 50, None, (50, 16)),
        ([(16, 0)] * 50, 100, (100, 8)),
        ([(2, 0), (8, 0)], 2, (2, 4)),
        ([(0, 0), (4, 0)], None, (1, 4)),
        ([(7, 0)], 3, (3, 2)),
    ],
)
def test_workers_have_as_many_cores_as_let_all_of_them_find_room(machines, workers, expected):
    assert division([Machine(*each) for each in machines], workers, 0.0) == Division(*expected)


@pytest.mark.parametrize(
    ("machines", "workers", "num_gpus", "expected"),
    [
        ([(8, 1), (8, 0)], None, 1.0, (1, 8)),
        ([(8, 1), (8, 1)], None, 0.5, (4, 4)),
        ([(8, 2)], 1, 0.25, (1, 8)),
        ([(2, 1)], None, 0.1, (2, 1)),
        ([(16, 8)], None, 2.0, (4, 4)),
    ],
)
def test_workers_share_the_gpus(machines, workers, num_gpus, expected):
    assert division([Machine(*each) for each in machines], workers, num_gpus) == Division(*expected)


@pytest.mark.parametrize(("workers", "num_gpus"), [(5, 0.0), (2, 1.0)])
def test_more_workers_than_find_room_are_refused(workers, num_gpus):
    with pytest.raises(InvalidArgumentError, match=f"expected room for {workers}"):
        division([Machine(4, 1.0)], workers, num_gpus)


def test_a_cluster_without_a_core_has_room_for_nobody():
    with pytest.raises(InvalidArgumentError, match="room for 0 workers"):
        division([Machine(0)], None, 0.0)


def test_machines_that_have_died_lend_nothing():
    nodes = [{"Alive": True, "Resources": {"CPU": 4.0, "GPU": 1.0}}, {"Alive": False, "Resources": {"CPU": 64.0}}]
    assert machines_among(nodes) == [Machine(4, 1.0)]
