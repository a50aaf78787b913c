"""The default engine: each slot is a keeper process with one child that runs users' code."""
