# glossrank's server. Build: docker build -t glossrank .
# Run:   docker run --rm --stop-timeout 45 -p 127.0.0.1:8080:8080 -v glossrank:/data glossrank
FROM python:3.11-slim AS build
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY src ./src
# A wheel, so that the second stage has no sources and no build tools.
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && python -m venv /glossrank \
    && wheel="$(ls /wheels/*.whl)" \
    && /glossrank/bin/pip install --no-cache-dir --constraint constraints.txt "${wheel}[serve]"

FROM python:3.11-slim
COPY --from=build /glossrank /glossrank
RUN useradd --system --uid 10001 glossrank && install -d -o glossrank /data
USER glossrank
# The model ships in the package; nothing is fetched.
ENV HF_HUB_OFFLINE=1
VOLUME /data
EXPOSE 8080
# exec form: SIGTERM reaches the server, which answers what it has begun.
ENTRYPOINT ["/glossrank/bin/glossrank", "serve", "--host", "0.0.0.0", "--data", "/data"]
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD \
    ["/glossrank/bin/python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8080/health', timeout=2)"]
STOPSIGNAL SIGTERM
