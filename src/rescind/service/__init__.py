"""What a person may ask for: one use case per file."""
