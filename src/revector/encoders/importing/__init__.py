"""Models that exist as ONNX only, imported once into a folder that the native encoder reads."""
