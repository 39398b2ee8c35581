"""Where images come from: folders, tables, and the emoji set."""
