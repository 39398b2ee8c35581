"""The sources of images: folders, tables, and the emoji set."""
