"""A robot that was brought up wrongly, in as many ways as a lab meets."""
