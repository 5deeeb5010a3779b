"""Simulated pools: one ledger of what the simulated miners' shares are worth, and a file for each pool.

A file is named like the driver it answers and offers ``Fake``, made from the ledger.
"""
