"""Durable state: one method per move and per read."""
