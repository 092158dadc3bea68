"""What Prometheus reads of the service."""

import os
from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from tasks.retrieval.corpora import Corpora

SHARED = "PROMETHEUS_MULTIPROC_DIR"  # a folder through which the workers add up their figures; set before the import
CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5)


class Metrics:
    """The counters of one process; `render` adds up those of all workers."""

    def __init__(self) -> None:
        self._own = own = CollectorRegistry()
        self.seconds = Histogram(
            "dssm_request_seconds",
            "Time of a request, from its headers to its answer.",
            ["endpoint"],
            registry=own,
            buckets=_SECONDS,
        )
        self.requests = Counter(
            "dssm_requests", "Requests, by endpoint and HTTP status.", ["endpoint", "status"], registry=own
        )
        self.rejections = Counter("dssm_rejections", "Requests not answered, by kind of error.", ["kind"], registry=own)
        self.queries = Counter("dssm_queries", "Queries answered.", ["corpus"], registry=own)
        self.decisions = Counter(
            "dssm_decisions", "What queries were to be answered with.", ["corpus", "decision"], registry=own
        )
        self.failed_reloads = Counter(
            "dssm_failed_reloads", "Times that what is live could not be loaded.", ["corpus"], registry=own
        )
        self.lost_lines = Counter("dssm_query_log_lost_lines", "Lines the query log could not write.", registry=own)

    def render(self, corpora: Corpora) -> bytes:
        """Return the text that Prometheus reads; versions and memory are those of the process that answers."""
        registry = CollectorRegistry()
        if SHARED in os.environ:
            MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
        else:
            registry = self._own
        mine = CollectorRegistry()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=mine)
        mine.register(_Live(corpora))
        return bytes(generate_latest(registry)) + bytes(generate_latest(mine))


class _Live(Collector):
    """The version of each corpus, asked for when Prometheus asks: one that is gone leaves no line behind."""

    def __init__(self, corpora: Corpora) -> None:
        self._corpora = corpora

    def collect(self) -> Iterator[Metric]:
        """Yield the gauges."""
        version = GaugeMetricFamily("dssm_live_version_info", "The version that answers.", labels=["corpus", "version"])
        recall = GaugeMetricFamily("dssm_live_recall_at_10", "Its recall@10 on its test rows.", labels=["corpus"])
        count = GaugeMetricFamily("dssm_standard_questions", "Its standard questions.", labels=["corpus"])
        for served in self._corpora.served():
            corpus = served.manifest.corpus
            version.add_metric([corpus, served.model.version], 1)
            recall.add_metric([corpus], served.manifest.recall_at_10)
            count.add_metric([corpus], len(served.model.ids))
        yield from (version, recall, count)
        yield GaugeMetricFamily("dssm_ready", "1: every corpus has been loaded.", value=float(self._corpora.ready))
