"""Is this robot ready? Everything that can be checked without moving it, and what to do about each."""
