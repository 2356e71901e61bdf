"""A grading engine for nbgrader courses: parallel, isolated, and deaf to forged results.

The rule that every module here serves: the process that decides a score never runs, imports or
unpickles anything of the student's; the process that runs the student's code never holds a hidden
test, an expected value, another submission, the solutions, the gradebook or the network.
"""
