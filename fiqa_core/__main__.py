"""`python -m fiqa_core`."""
import sys

from fiqa_core.cli import main

sys.exit(main())
