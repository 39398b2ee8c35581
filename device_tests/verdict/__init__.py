"""A verdict: what a bundle reached, against which policy, in words for people and for machines."""
