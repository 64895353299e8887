"""One worker process of the engine; torchrun starts it: python -m fiqa_core.pipeline.worker JOB_FILE."""
import sys
from datetime import timedelta
from pathlib import Path

from torch import distributed

from fiqa_core.base.engine import serve
from fiqa_core.base.errors import FiqaError
from fiqa_core.pipeline.recognise import embedding_work
from fiqa_core.pipeline.score import scoring_work

JOBS = {"score": scoring_work, "embed": embedding_work}
PATIENCE = timedelta(days=30)  # the first worker to finish waits for the last


def main(arguments: list[str]) -> int:
    """Work on this rank's shards, then wait for the others, so that no machine leaves before another."""
    distributed.init_process_group("gloo", timeout=PATIENCE)
    try:
        serve(Path(arguments[0]), JOBS)
    except FiqaError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    distributed.barrier()
    distributed.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
