"""The convex problem and its solvers."""
