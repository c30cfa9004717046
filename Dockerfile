# One image for all services, told apart by the first argument: nearly all of it is
# Python and libraries that they share, so that a target a service would save nothing on a node.
FROM debian:trixie-slim AS dependencies
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends python3-venv \
 && python3 -m venv /opt/pip \
 && python3 -m venv --without-pip /opt/fraud
# What only tests and compilers read goes (and what cel-expr-python packs by mistake). The rest becomes
# bytecode that is loaded without a look at its source. All is of one time, so that the same lock gives
# the same files.
ARG SOURCE_DATE_EPOCH=1700000000
COPY requirements.txt .
RUN /opt/pip/bin/pip --python /opt/fraud/bin/python install --quiet --disable-pip-version-check \
      --no-cache-dir --no-compile --only-binary :all: --require-hashes -r requirements.txt \
 && cd /opt/fraud/lib/python3*/site-packages \
 && rm -rf bazel-project numba/tests numpy/tests numpy/*/tests numpy/f2py numpy/_core/include \
      numpy/_core/lib \
 && find . -name '*.pyi' -delete \
 && /opt/fraud/bin/python -m compileall -q --invalidation-mode unchecked-hash . \
 && find /opt/fraud -exec touch --no-dereference --date=@$SOURCE_DATE_EPOCH {} +
ENV SOURCE_DATE_EPOCH=$SOURCE_DATE_EPOCH

# Windows, the reader of columns and the machine that runs conditions are compiled here for any
# processor, and not at a detector's start. Before the other sources, so that an edit of those does
# not compile it again.
FROM dependencies AS compiled
WORKDIR /opt/app
COPY services/compiled.py services/compiled.py
COPY services/windows services/windows
RUN find . -exec touch --date=@$SOURCE_DATE_EPOCH {} + \
 && NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=/opt/compiled PYTHONDONTWRITEBYTECODE=1 \
      /opt/fraud/bin/python -c 'import services.windows; services.windows.prepare()'
COPY services/documents.py services/errors.py services/yaml_scalars.py services/
COPY services/transactions services/transactions
COPY services/columns services/columns
RUN find . -exec touch --date=@$SOURCE_DATE_EPOCH {} + \
 && NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=/opt/compiled PYTHONDONTWRITEBYTECODE=1 \
      /opt/fraud/bin/python -c 'import services.columns; services.columns.prepare()'
COPY services/programs services/programs
RUN find . -exec touch --date=@$SOURCE_DATE_EPOCH {} + \
 && NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=/opt/compiled PYTHONDONTWRITEBYTECODE=1 \
      /opt/fraud/bin/python -c 'import services.programs; services.programs.prepare()'
# numba reads a cache only where it can write too. With a read-only root file system that is the shared
# memory. The detector judges with windows, and the operator runs rules' examples through them; the
# generator has none.
RUN printf '%s\n' '#!/bin/sh' 'service="$1"' 'shift' \
      'if [ "$service" != generator ]; then' \
      '  mkdir -p "$NUMBA_CACHE_DIR" && cp -r /opt/compiled/. "$NUMBA_CACHE_DIR"' \
      'fi' \
      'exec python -m "services.$service" "$@"' > /opt/fraud-service \
 && chmod 755 /opt/fraud-service

FROM compiled AS build
COPY services services
RUN /opt/fraud/bin/python -m compileall -q --invalidation-mode unchecked-hash . \
 && find . -exec touch --date=@$SOURCE_DATE_EPOCH {} +

FROM debian:trixie-slim
# With public authorities, for brokers whose certificates they sign.
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends ca-certificates python3 \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/cache/ldconfig/aux-cache /var/log/*.log /var/log/apt
# From what changes seldom to what changes often: an edit makes the last layer alone anew. Each from the
# stage that made it, so that Docker need not read all of it to see that it is the same.
COPY --from=dependencies /opt/fraud /opt/fraud
COPY --from=compiled /opt/fraud-service /usr/local/bin/fraud-service
COPY --from=compiled /opt/compiled /opt/compiled
COPY --from=build /opt/app /opt/app
WORKDIR /opt/app
# kopf asks for the name of the user, and a number has none: hence USER.
ENV PATH=/opt/fraud/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    NUMBA_CPU_NAME=generic NUMBA_CACHE_DIR=/dev/shm/compiled \
    USER=fraud
USER 10001:10001
ENTRYPOINT ["fraud-service"]
