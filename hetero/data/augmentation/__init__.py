"""Changed images: copies for a cloud model to embed, and augmentation in training."""
