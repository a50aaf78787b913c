"""Where runs happen, and how they are stopped."""
