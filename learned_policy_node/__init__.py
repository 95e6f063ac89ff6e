"""Runs a learned policy: ONNX file -> chunks -> stamped targets for the door."""
