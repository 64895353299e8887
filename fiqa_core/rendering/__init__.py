"""Faces the project renders itself: the true identity and the true cause of every quality loss are known."""
