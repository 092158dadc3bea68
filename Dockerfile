# syntax=docker/dockerfile:1
# Two images of one checkout, neither of them run by root:
#
#   docker build --target service -t dssm-service .    answers queries: no torch, no Prefect
#   docker build --target worker  -t dssm-worker .     trains; also the Prefect server, and `dssm deploy`
#
# `--build-arg EXTRAS=encoder,s3` where models stand beside an encoder, or lie in a bucket.
# tests/ops/test_batteries.py builds and runs both, or takes the same steps where there is no container engine.
ARG PYTHON=3.11-slim
ARG EXTRAS

FROM python:${PYTHON} AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PATH=/opt/venv/bin:$PATH
RUN python -m venv /opt/venv
WORKDIR /srv/dssm-pipeline

FROM build AS build-service
ARG EXTRAS
COPY . .
RUN pip install --constraint constraints.txt "./serving${EXTRAS:+[$EXTRAS]}"
# A hundred megabytes that nothing which answers queries loads.
RUN cd /opt/venv/lib/python3*/site-packages \
    && rm -r jieba/lac_small jieba/posseg jieba/analyse pyarrow/include pyarrow/tests pyarrow/libarrow_flight.so.* \
    && rm -rf pip setuptools pkg_resources

FROM build AS build-worker
# torch comes first, and alone: its layer stays when the code changes. A CPU build, where PIP_EXTRA_INDEX_URL offers one.
ARG PIP_EXTRA_INDEX_URL
COPY constraints.txt .
RUN pip install "$(grep -E '^torch==' constraints.txt)"
ARG EXTRAS
COPY . .
RUN pip install --constraint constraints.txt --editable ".${EXTRAS:+[$EXTRAS]}"

FROM python:${PYTHON} AS runtime
ENV PATH=/opt/venv/bin:$PATH PYTHONUNBUFFERED=1 DSSM_HOME=/var/lib/dssm PREFECT_HOME=/var/lib/prefect
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/dssm dssm \
    && install -d -o dssm -g dssm /var/lib/dssm /var/lib/prefect
USER 10001:10001
VOLUME /var/lib/dssm

FROM runtime AS service
COPY --from=build-service /opt/venv /opt/venv
EXPOSE 8000
HEALTHCHECK --start-period=30s --interval=10s \
    CMD ["python", "-c", "import urllib.request as web; web.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
CMD ["dssm", "api", "--host", "0.0.0.0"]

FROM runtime AS worker
COPY --from=build-worker /opt/venv /opt/venv
COPY --from=build-worker /srv/dssm-pipeline /srv/dssm-pipeline
WORKDIR /srv/dssm-pipeline
CMD ["prefect", "worker", "start", "--pool", "nightly", "--type", "process"]
