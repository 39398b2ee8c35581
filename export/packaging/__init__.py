"""Projects for an application's build system, with one model of a bundle and nothing else of it."""
