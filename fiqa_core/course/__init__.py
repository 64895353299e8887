"""A course in lessons: exercises that are checked, claims that are measured, grading, a book."""
