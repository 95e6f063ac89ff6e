"""The whole flywheel: brings nodes up and leads them through recording, replay, training and evaluation."""
