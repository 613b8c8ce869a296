# One target per container of this project; each holds just the packages of its own package:
#   docker build --target api .      the prediction service: no Locust, no Evidently
#   docker build --target drift .    the drift job
#   docker build --target flow .     the flow that compares months: Prefect and Dask
#   docker build --target load .     Locust
#   docker build --target testbed .  everything: trains the model, renders the configuration, runs the
#                                    alert receiver, plays scenarios
FROM python:3.11-slim-bookworm AS python

# What is installed depends on these files alone, so a changed source installs nothing anew. Whatever
# the checkout's umask, the containers' user can read what is copied.
FROM python AS build
COPY --chmod=755 tools/uv.txt /tmp/uv.txt
RUN python -m pip install --no-cache-dir --disable-pip-version-check --no-deps --only-binary :all: \
    --require-hashes -r /tmp/uv.txt
ENV UV_COMPILE_BYTECODE=1 UV_LINK_MODE=copy UV_PYTHON_DOWNLOADS=never UV_CACHE_DIR=/var/cache/uv
COPY --chmod=755 tools/added /usr/local/bin/added
WORKDIR /app
COPY --chmod=755 pyproject.toml uv.lock ./
COPY --chmod=755 alertmanager/pyproject.toml alertmanager/
COPY --chmod=755 api/pyproject.toml api/
COPY --chmod=755 domain/pyproject.toml domain/
COPY --chmod=755 drift/pyproject.toml drift/
COPY --chmod=755 grafana/pyproject.toml grafana/
COPY --chmod=755 loadtest/pyproject.toml loadtest/
COPY --chmod=755 otel/pyproject.toml otel/
COPY --chmod=755 prometheus/pyproject.toml prometheus/
COPY --chmod=755 testbed/pyproject.toml testbed/
COPY --chmod=755 tools/pytest-plugin/pyproject.toml tools/pytest-plugin/

FROM build AS packages-api
RUN --mount=type=cache,target=/var/cache/uv \
    uv sync --locked --no-dev --no-editable --no-install-workspace \
    --package testbed-api --package testbed-domain --extra postgresql

FROM build AS packages-drift
RUN --mount=type=cache,target=/var/cache/uv \
    uv sync --locked --no-dev --no-editable --no-install-workspace \
    --package testbed-drift --package testbed-domain --extra mlflow --extra postgresql

FROM build AS packages-flow
RUN --mount=type=cache,target=/var/cache/uv \
    uv sync --locked --no-dev --no-editable --no-install-workspace \
    --package testbed-drift --package testbed-domain --extra flow --extra mlflow --extra postgresql

FROM build AS packages-load
RUN --mount=type=cache,target=/var/cache/uv \
    uv sync --locked --no-dev --no-install-workspace --package testbed-load

FROM build AS packages-testbed
RUN --mount=type=cache,target=/var/cache/uv \
    uv sync --locked --no-dev --no-install-workspace \
    --package ml-observability-testbed --package testbed-domain --extra postgresql

# The sources come last and apart: what they add goes into a small layer of its own (/added), and that of
# the packages, some hundred MB, stays as it is. There is no git here: who releases says the version.
FROM packages-api AS build-api
ARG SETUPTOOLS_SCM_PRETEND_VERSION=0.0.0
COPY --chmod=755 . .
RUN --mount=type=cache,target=/var/cache/uv \
    added uv sync --locked --no-dev --no-editable \
    --package testbed-api --package testbed-domain --extra postgresql

FROM packages-drift AS build-drift
ARG SETUPTOOLS_SCM_PRETEND_VERSION=0.0.0
COPY --chmod=755 . .
RUN --mount=type=cache,target=/var/cache/uv \
    added uv sync --locked --no-dev --no-editable \
    --package testbed-drift --package testbed-domain --extra mlflow --extra postgresql

FROM packages-flow AS build-flow
ARG SETUPTOOLS_SCM_PRETEND_VERSION=0.0.0
COPY --chmod=755 . .
RUN --mount=type=cache,target=/var/cache/uv \
    added uv sync --locked --no-dev --no-editable \
    --package testbed-drift --package testbed-domain --extra flow --extra mlflow --extra postgresql

# Locust takes its locustfile by path, so this one and the next keep the sources.
FROM packages-load AS build-load
ARG SETUPTOOLS_SCM_PRETEND_VERSION=0.0.0
COPY --chmod=755 . .
RUN --mount=type=cache,target=/var/cache/uv \
    added uv sync --locked --no-dev --package testbed-load

FROM packages-testbed AS build-testbed
ARG SETUPTOOLS_SCM_PRETEND_VERSION=0.0.0
COPY --chmod=755 . .
RUN --mount=type=cache,target=/var/cache/uv \
    added uv sync --locked --no-dev \
    --package ml-observability-testbed --package testbed-domain --extra postgresql

FROM python AS runtime
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1 DO_NOT_TRACK=1
COPY --chmod=755 tools/probe /usr/local/bin/probe
# A fresh named volume takes the owner of the folder that it is mounted on.
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/testbed --shell /usr/sbin/nologin testbed \
    && install -d -o testbed -g testbed /etc/testbed && cd /var/lib && install -d -o testbed -g testbed \
    testbed testbed/models testbed/drift testbed/truth testbed/receiver testbed/spool testbed/textfiles \
    testbed/targets testbed/runs testbed/months
WORKDIR /var/lib/testbed
USER testbed

FROM runtime AS api
COPY --from=packages-api /app/.venv /app/.venv
COPY --from=build-api /added /app
EXPOSE 8000 9464
CMD ["python", "-m", "testbed_api"]

FROM runtime AS drift
COPY --from=packages-drift /app/.venv /app/.venv
COPY --from=build-drift /added /app
CMD ["python", "-m", "testbed_drift", "watch"]

FROM runtime AS flow
COPY --from=packages-flow /app/.venv /app/.venv
COPY --from=build-flow /added /app
CMD ["python", "-m", "testbed_drift.flow"]

FROM runtime AS load
COPY --from=packages-load /app/.venv /app/.venv
COPY --chmod=755 . /app
COPY --from=build-load /added /app
EXPOSE 8089
CMD ["python", "-m", "locust", "-f", "/app/loadtest/testbed_load/locustfile.py"]

FROM runtime AS testbed
COPY --from=packages-testbed /app/.venv /app/.venv
COPY --chmod=755 . /app
COPY --from=build-testbed /added /app
CMD ["testbed", "--help"]
