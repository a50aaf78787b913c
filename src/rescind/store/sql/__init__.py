"""What the stores share: every method of the Store protocol, on named statements.

Each database brings its statements, under the same names, and a way to run them.
"""
