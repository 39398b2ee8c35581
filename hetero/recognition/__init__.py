"""Files and directories told apart by a cheap look, for errors that name what was handed in."""
