# syntax=docker/dockerfile:1
# Two stages: wheels are installed where a compiler may be, and only their result is shipped.
FROM python:3.11.14-slim-bookworm AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements/runtime.lock requirements/build.lock requirements/
RUN python -m venv /opt/reconciler \
    && /opt/reconciler/bin/pip install --require-hashes -r requirements/runtime.lock
COPY pyproject.toml README.md ./
COPY reconciler reconciler
COPY templates templates
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes -r requirements/build.lock \
    && /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/reconciler/bin/pip install --no-deps /wheels/*.whl

FROM python:3.11.14-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/reconciler --create-home reconciler
COPY --from=build /opt/reconciler /opt/reconciler
ENV PATH=/opt/reconciler/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/reconciler
# Healthy means that the loop finished a pass in the last half hour; it then touches this file.
ENV RECONCILER_HEARTBEAT=/var/lib/reconciler/heartbeat
HEALTHCHECK --interval=1m --timeout=5s --start-period=10m \
    CMD ["sh", "-c", "test -n \"$(find \"$RECONCILER_HEARTBEAT\" -mmin -30)\""]
EXPOSE 8080
ENTRYPOINT ["reconcile"]
CMD ["serve"]
