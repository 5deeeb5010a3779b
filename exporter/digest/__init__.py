"""The daily digest: yesterday's money, troubles and alerts, from Prometheus, as one short message."""
