"""Miners and a pool that behave like real ones, and misbehave on request; for the demo and the tests."""
