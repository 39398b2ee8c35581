"""The exported model, as one function and as a graph, with training branches merged and constants folded."""
