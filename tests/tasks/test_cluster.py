"""A cluster that cannot be had; what one does, tests/ray_cluster says (make test-ray)."""

import os
import sys

import pytest

from schemas.errors import SettingsError
from tasks.cluster import open_cluster


def test_without_ray_the_setting_says_what_to_install(monkeypatch):
    """Most installations have no Ray: it is an extra."""
    monkeypatch.setitem(sys.modules, "ray", None)

    with pytest.raises(SettingsError, match=r"engine = 'ray' needs Ray, which is not installed: pip install .*\[ray\]"):
        with open_cluster(None):
            pass


def test_telemetry_is_off_unless_somebody_wants_it(monkeypatch):
    """Before Ray is imported, which is when it looks."""
    for given, expected in ((None, "0"), ("1", "1")):
        monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
        if given:
            monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", given)
        monkeypatch.setitem(sys.modules, "ray", None)
        with pytest.raises(SettingsError), open_cluster(None):
            pass
        assert os.environ["RAY_USAGE_STATS_ENABLED"] == expected
