"""Linear quadratic fine-tuning (arXiv 2012.11140): a model is fitted as a convex problem around its weights."""
