"""Ray clusters on this machine, and a collection for them to move."""

from __future__ import annotations

import pytest

from services import Service, running
from towns import Town, slowly
from worlds import places_of


@pytest.fixture(scope="session", autouse=True)
def _ray():
    pytest.importorskip("ray", reason="Ray is not installed: make test-ray")


@pytest.fixture
def town(tmp_path):
    with places_of("postgres", tmp_path) as places, running(Service(otherwise=slowly)) as service:
        town = Town(places / "docs", service)
        yield town
        town.docs.close()


@pytest.fixture(scope="session")
def cluster():
    """A head that lends nothing, so that no worker is on the machine that cannot be killed."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_DEDUP_LOGS", "0")
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        yield cluster
        cluster.shutdown()


@pytest.fixture
def machines(cluster):
    """Two machines with a core each; those that a test before has left alive are among them."""
    for _ in range(2 - len(cluster.worker_nodes)):
        cluster.add_node(num_cpus=1)
    return cluster
