"""The default engine: each slot is a keeper, and each run a process under an init of its own."""
