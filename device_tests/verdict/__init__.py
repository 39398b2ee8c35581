"""A verdict: the results of a bundle against a policy, for people and for machines."""
