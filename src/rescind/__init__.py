"""A durable job service whose cancel is kept."""
