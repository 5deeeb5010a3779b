FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY exporter ./exporter
# Links in exporter/bundle lead to these.
COPY prometheus ./prometheus
COPY alertmanager ./alertmanager
COPY grafana ./grafana
RUN python -m venv /opt/minefleet && /opt/minefleet/bin/pip install --no-cache-dir .

FROM python:3.13-slim-bookworm
COPY --from=build /opt/minefleet /opt/minefleet
# No home, no shell, no rights but to answer: the exporter writes nothing unless logging.file says so.
RUN useradd --system --no-create-home --shell /usr/sbin/nologin --uid 10777 minefleet
USER 10777:10777
ENV PATH=/opt/minefleet/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
EXPOSE 10777
HEALTHCHECK --interval=30s --timeout=3s --start-period=10s \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:10777/-/healthy', timeout=2)"]
ENTRYPOINT ["minefleet-exporter"]
CMD ["serve", "--config.file=/etc/minefleet/config.yaml", "--web.listen-address=0.0.0.0:10777"]
