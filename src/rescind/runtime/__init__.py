"""What happens on its own: one loop per file, and the supervisor that drives them."""
