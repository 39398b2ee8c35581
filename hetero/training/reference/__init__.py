"""What a student in training is given of other models: the cloud, live or cached, and its predecessor."""
