"""What is exported, as one function and as a graph, with training branches merged and constants folded."""
