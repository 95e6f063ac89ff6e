"""Tools around the flywheel: a folder a capability, and the command line that drives them."""
