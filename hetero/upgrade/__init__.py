"""Model upgrades: a new cloud model that searches the old one's gallery, and fleets of models that share spaces."""
