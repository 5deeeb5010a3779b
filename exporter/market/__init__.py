"""The market: difficulties and prices from outside, for accounts whose pool quotes no price for a hash.

It is off unless configured, since it asks the internet. ``sources`` has a file for each place that is asked,
``market`` holds what they told and what follows from it.
"""
