"""Kill a command at each of its writes, run it again, and compare every byte with an uninterrupted run.

SQLite is tested in this way. An audit hook counts what a command writes below its folders: files opened for writing,
renames, links, new and removed files and folders, changed modes, statements of a database, programs started. The
command is killed (SIGKILL, with the processes that it forked) before each of them, and, where a file was opened, also
with half of what went into it. Run again, and sometimes killed once more, it has to end where the uninterrupted run
did::

    python -m benchmarks.crash_points --points 1000 --json crash-points.json
"""
