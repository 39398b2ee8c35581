"""The names that recipes may use; apart from the objectives themselves so that checking a recipe needs no torch."""

NAMES = ("own_head", "cloud_head", "supervised_contrastive", "cloud_contrastive", "cloud_regression")
NEEDS_CLOUD = ("cloud_head", "cloud_contrastive", "cloud_regression")
