"""One module per lesson, each with a list EXERCISES."""
