"""A live backfill under load, beside the switch from one index to another that vector databases document.

    python -m benchmarks.live_backfill --store postgresql --vectors 50000

A gallery of emoji by v1 moves to v2, an upgrade that passed its criterion (``benchmarks.upgrade``, which is run first
where ``--models`` lacks them), while a student of each asks, a query at a time, and items come and go. Three workers
are killed, then the whole command, and PostgreSQL's server once. Quiet is measured in the same run: before, in a pause
on the way, and after. The other way, blue/green, builds a second index and then switches to it: until then its users
are answered as those of the old student are here, after it as those of the new one.
"""
