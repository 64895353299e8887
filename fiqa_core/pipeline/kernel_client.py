"""How the runner talks to a kernel: papermill's client with a mended shell channel and a watch over replies.

While a cell shows an Output widget (`interact`, `interactive_output`), nbclient sends the widget's state back
on the socket where it waits for the cell's reply. jupyter_client sends past asyncio, and a ZeroMQ socket
announces a message only once: the send takes the announcement of a reply that has just come, and nobody reads
it. The kernel is idle and the run hangs, the likelier the busier the machine (nbclient issue 312,
jupyter_client pull request 1059).
"""
import asyncio
from pathlib import Path

import zmq
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import Engine, papermill_engines
from papermill.log import logger
from traitlets import Integer, Type

from fiqa_core.base.errors import FiqaError

LOOK = 1.0  # seconds between two looks at a cell that has had no reply
ENGINE = "watched"


class ShellChannel(AsyncZMQSocketChannel):
    """A channel that still notices what came in while it sent."""

    def send(self, msg: dict) -> None:
        super().send(msg)
        self.socket.get(zmq.EVENTS)  # asked for its events, an asyncio socket wakes those who wait for them


class KernelClient(AsyncKernelClient):
    """jupyter_client's client with the channel above."""

    shell_channel_class = Type(ShellChannel)


class WatchedClient(PapermillNotebookClient):
    """Ends a run whose kernel has been idle for `patience` seconds without a reply; a busy one has time."""

    patience = Integer(60)

    async def _async_poll_for_reply(self, msg_id, cell, timeout, output, alive):
        """nbclient's wait for the reply. Looks are counted, not seconds: a sleeping computer ends no run."""
        reply = asyncio.ensure_future(super()._async_poll_for_reply(msg_id, cell, timeout, output, alive))
        idle = 0
        try:
            while idle * LOOK < self.patience:
                if (await asyncio.wait({reply}, timeout=LOOK))[0]:
                    return reply.result()
                seen = cell["metadata"]["execution"]
                busy = "iopub.status.busy" in seen and "iopub.status.idle" not in seen
                idle = 0 if busy else idle + 1
        finally:
            reply.cancel()
        alive.cancel()
        raise self._silence(f"cell {self.code_cells_executed}")

    def _get_timeout(self, cell):
        """A cell may take as long as it needs; the question after the last one what the kernel is may not."""
        return super()._get_timeout(cell) if cell else self.patience

    async def _async_handle_timeout(self, timeout, cell=None):
        raise self._silence("its last question")

    def _silence(self, question: str) -> FiqaError:
        name = Path(self.nb_man.output_path).stem
        return FiqaError(f"{name}: {question} got no reply from its kernel, idle for {self.patience} s",
                         "run the same command again")


class WatchedEngine(Engine):
    """papermill's engine with the client above."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name, start_timeout, input_path, **options):
        WatchedClient(nb_man, kernel_name=kernel_name, startup_timeout=start_timeout, log=logger,
                      **options).execute()


papermill_engines.register(ENGINE, WatchedEngine)
