"""The runtimes of the mobile web in a headless browser: page, server and setup."""
