"""A Ray cluster of two nodes on this machine (make test-ray)."""

import socket
from typing import Any

import pytest

from schemas.workspace import CHECKOUT


def node(cores: int) -> dict[str, Any]:
    """Describe a node; with given ports it waits for no slow agent to tell its own."""
    sockets = [socket.socket() for _ in range(3)]
    for one in sockets:
        one.bind(("", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    names = ("metrics_agent_port", "runtime_env_agent_port", "dashboard_agent_listen_port")
    return {
        "num_cpus": cores,
        "object_store_memory": 100 * 2**20,
        "include_dashboard": False,
        **dict(zip(names, ports, strict=True)),
    }


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes, of which `spare` may be killed; RAY_ADDRESS points there."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("PYTHONPATH", str(CHECKOUT))
    import ray
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args=node(2))
    made.spare = made.add_node(**node(1))
    monkeypatch.setenv("RAY_ADDRESS", made.address)
    yield made
    ray.shutdown()
    made.shutdown()
