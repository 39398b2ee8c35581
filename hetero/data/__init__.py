"""The input images: the emoji set, folders and tables of images, splits, protocols, decoding and augmentation."""
