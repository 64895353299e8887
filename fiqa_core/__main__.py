"""`python -m fiqa_core`."""
import sys

from fiqa_core.base.process import settle
from fiqa_core.cli import main

for stream in (sys.stdout, sys.stderr):
    stream.reconfigure(errors="backslashreplace")       # a name that the terminal cannot show ends no command
settle()
sys.exit(main())
