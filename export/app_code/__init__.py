"""An application's code: decoding, resizing, the model, the gallery and a self-test, in three languages."""
