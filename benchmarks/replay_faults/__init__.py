"""Seeded faults of labels, controllers and the world: is every one that spoils the task caught, and named?"""
