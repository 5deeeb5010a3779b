"""The market: difficulties and prices from outside."""
