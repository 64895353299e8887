"""What DVC stages and notebooks share: settings, running notebooks, one module per stage, the report."""
