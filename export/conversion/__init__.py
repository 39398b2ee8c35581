"""From a trained model to files: captured graphs, converters in processes, the model card."""
