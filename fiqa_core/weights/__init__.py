"""Official checkpoints: which there are, where they lie, how their files are read and fitted to a network."""
