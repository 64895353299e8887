"""The quality methods that the papers compare with, one file each: reading, training, declaration."""
