"""The embedded store: items and vectors in SQLite, and beside them an index of usearch that is made from those."""
