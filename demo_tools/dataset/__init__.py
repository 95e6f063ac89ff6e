"""Recorded episodes -> aligned ticks -> a LeRobotDataset v3.0 that names everything it was made from."""
