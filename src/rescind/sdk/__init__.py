"""What people who write jobs import."""
