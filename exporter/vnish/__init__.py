"""Miners on VNish firmware: wire formats to readings, readings to samples."""
