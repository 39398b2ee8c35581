"""Sets of images that never have to fit in memory: an index of where the bytes of each image lie."""
