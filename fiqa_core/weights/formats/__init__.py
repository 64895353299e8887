"""One module per file format; `fiqa_core.weights.tensors` knows which reader a file needs.

A reader returns what the file holds as nested dicts of CPU tensors, in the file's own names and memory order,
and raises `Damaged` where the bytes break the format. None of them runs code from a file.
"""
