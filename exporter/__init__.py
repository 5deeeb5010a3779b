"""Prometheus exporter for VNish ASIC miners and their mining pool."""

__version__ = "0.1.0"
