"""What the lessons compute and draw, one module per lesson."""
