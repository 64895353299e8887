"""From a user's photographs to aligned faces: detection, alignment, official forms, storage."""
