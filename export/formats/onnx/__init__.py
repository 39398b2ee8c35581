"""ONNX, for ONNX Runtime on Android, iOS, the web and servers."""
