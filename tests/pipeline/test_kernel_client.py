"""A notebook run ends: no reply is overlooked, a silent kernel is reported, a busy one is left alone."""
import asyncio
import json
import os
import select
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
import zmq
import zmq.asyncio
from jupyter_client.session import Session
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from nbclient.output_widget import OutputWidget

from fiqa_core.base.errors import FiqaError
from fiqa_core.pipeline import kernel_client, repro
from fiqa_core.pipeline.runner import run_notebook

ROOT = Path(__file__).resolve().parents[2]
WIDGET = """
import os, time
from ipywidgets import Output
with Output():
    print("shown")
while not os.path.exists("seen"):
    time.sleep(0.01)
"""
NO_REPLY = """
session = get_ipython().kernel.session
send = session.send
session.send = lambda stream, kind, *rest, **more: send(None if kind == "{}" else stream, kind, *rest, **more)
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a notebook of one cell in an empty project; returns the executed copy."""
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    (tmp_path / "dvc.yaml").write_text("stages: {}\n")
    (tmp_path / "notebooks").mkdir()

    def run_cell(source, **options):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
        nbformat.write(notebook, tmp_path / "notebooks" / "n.ipynb")
        return nbformat.read(run_notebook("n", {}, **options), as_version=4)
    return run_cell


def test_a_reply_that_comes_while_the_channel_sends_is_noticed():
    session = Session(key=b"key")

    async def reply():
        context = zmq.asyncio.Context()
        kernel, socket = zmq.Context(context).socket(zmq.ROUTER), context.socket(zmq.DEALER)
        kernel.bind("inproc://shell")
        socket.identity = b"client"
        socket.connect("inproc://shell")
        channel = kernel_client.ShellChannel(socket, session)
        channel.send(session.msg("execute_request"))
        kernel.recv_multipart()
        waiting = asyncio.ensure_future(channel.get_msg(timeout=None))
        await asyncio.sleep(0.2)                             # it waits, and asyncio has nothing else to do
        session.send(kernel, "execute_reply", ident=b"client")
        assert select.select([socket.FD], [], [], 30)[0]     # announced, and not yet seen by asyncio
        channel.send(session.msg("comm_msg"))
        try:
            return await asyncio.wait_for(waiting, 30)
        finally:
            kernel.close(), socket.close()
    assert asyncio.run(reply())["msg_type"] == "execute_reply"


def test_an_output_widget_answered_as_the_reply_comes_does_not_stop_the_run(run, tmp_path, monkeypatch):
    sync = OutputWidget.sync_state
    late = []

    def sync_late(widget):
        (tmp_path / "notebooks" / "seen").touch()
        socket = widget.kernel_client.shell_channel.socket
        late.append(select.select([socket.FD], [], [], 60)[0])    # until the cell's reply is there, unread
        sync(widget)
    monkeypatch.setattr(OutputWidget, "sync_state", sync_late)
    notebook = run(WIDGET)
    assert len(late) == 1 and late[0]
    state = notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    assert "shown" in json.dumps(list(state.values()))


def test_an_idle_kernel_without_a_reply_is_ended_and_reported(run, monkeypatch):
    silence = kernel_client.WatchedClient._silence
    pids = []

    def note(client, question):
        pids.append(client.km.provisioner.pid)
        return silence(client, question)
    monkeypatch.setattr(kernel_client.WatchedClient, "_silence", note)
    with pytest.raises(FiqaError, match="n: cell 1 got no reply from its kernel, idle for 2 s"):
        run(NO_REPLY.format("execute_reply"), patience=2)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_a_last_question_without_a_reply_is_reported(run, monkeypatch):
    monkeypatch.setattr(kernel_client, "LOOK", 1000)    # cells have long, the question has not
    with pytest.raises(FiqaError, match="n: its last question got no reply"):
        run(NO_REPLY.format("kernel_info_reply"), patience=1)


@pytest.mark.parametrize("states, ends", [(["busy"], True), ([], False), (["busy", "idle"], False)])
def test_only_a_busy_kernel_may_outlast_the_patience(states, ends, monkeypatch):
    wait = asyncio.wait
    looks = []

    async def reply_after_ten_looks(*_):
        while len(looks) < 10:
            await asyncio.sleep(0)
        return "reply"

    async def look(tasks, timeout):
        looks.append(timeout)
        return await wait(tasks, timeout=0)
    monkeypatch.setattr(asyncio, "wait", look)
    monkeypatch.setattr(NotebookClient, "_async_poll_for_reply", reply_after_ten_looks)
    cell = nbformat.v4.new_code_cell("1", metadata={"execution": {}})
    notebook = nbformat.v4.new_notebook(cells=[cell])
    manager = SimpleNamespace(nb=notebook, output_path="n.ipynb", autosave_cell=int)

    async def wait_for_reply():
        client = kernel_client.WatchedClient(manager, patience=3)
        for state in states:
            message = {"msg_type": "status", "content": {"execution_state": state}}
            with suppress(CellExecutionComplete):
                client.process_message(message, cell, 0)
        alive = asyncio.ensure_future(asyncio.sleep(0))
        return await client._async_poll_for_reply("id", cell, None, None, alive)
    if ends:
        assert asyncio.run(wait_for_reply()) == "reply" and len(looks) >= 10
    else:
        with pytest.raises(FiqaError, match="cell 0 got no reply .* idle for 3 s"):
            asyncio.run(wait_for_reply())
        assert len(looks) == 3


def test_dvc_is_found_without_a_path(tmp_path, monkeypatch, capfd):
    cell = json.loads((ROOT / "notebooks" / "00_start_here.ipynb").read_text())["cells"][5]["source"]
    command = "python -c 'import dvc; print(dvc.__name__)'"
    (tmp_path / "dvc.yaml").write_text(f"stages:\n  which:\n    cmd: {command}\n")
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc" / "config").write_text("[core]\n    no_scm = True\n    analytics = false\n")
    monkeypatch.setenv("FIQA_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    code = "from fiqa_core.base import project\n" + "".join(cell)
    assert "which" in subprocess.check_output([sys.executable, "-c", code], text=True)
    assert repro._repro([], time.monotonic()) == 0
    output = capfd.readouterr().out
    assert "[1 of 1," in output and "\ndvc\n" in output
