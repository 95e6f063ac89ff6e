"""The door to the arm: the only process that publishes commands, and the movers that plan for it."""
