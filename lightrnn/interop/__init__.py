"""Models from and to other frameworks and file formats: PyTorch, Keras, ONNX, NumPy and C."""
