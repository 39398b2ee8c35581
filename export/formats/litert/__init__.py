"""LiteRT (TFLite), for Android and embedded Linux."""
