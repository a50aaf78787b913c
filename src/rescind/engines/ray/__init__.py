"""Runs on a Ray cluster: Ray finds the place, keepers keep the run."""
