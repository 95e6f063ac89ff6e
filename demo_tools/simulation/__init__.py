"""A simulated UR5e that takes and gives what a real driver does, and a scripted expert that operates it.

Importing any part chooses how MuJoCo renders, since mujoco reads that once, when it is imported itself.
"""

from demo_tools.simulation.gl import choose_gl

choose_gl()
