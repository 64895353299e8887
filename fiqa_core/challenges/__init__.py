"""The open challenges, a file per notebook."""
