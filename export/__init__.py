"""From a trained model to a bundle that a phone can run."""
