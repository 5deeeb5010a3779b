"""How good the shipped alerts are: fleet-months of simulated miners, through the rules in minutes."""
