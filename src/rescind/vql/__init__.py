"""Vault's query language: text to a tree, and that to a filter. No text of a query leaves here."""
