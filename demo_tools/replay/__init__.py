"""Label replay: does a robot that plays the recorded labels in order, from the same initial state, solve the task?"""
