"""Pure statistics: error-versus-discard curves, verification, templates, intervals, rank correlation."""
