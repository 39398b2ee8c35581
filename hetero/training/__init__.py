"""Training: one loop for cloud models and students."""
