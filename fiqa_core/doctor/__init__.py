"""What a suite needs, what is here, how long it takes."""
