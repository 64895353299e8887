"""`python -m fiqa_core doctor`: what a suite needs and what is here, before a long run."""
