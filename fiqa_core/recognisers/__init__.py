"""Face recognition networks: one file per family, the interface they share, their loss heads."""
