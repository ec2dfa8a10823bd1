"""Stands in for the package of ZeroGPU Spaces, in processes that put this folder on sys.path.

Does what the real one does to a decorated generator function: each call runs in a process forked
for it, arguments and yielded values are pickled, an exception comes back as a title without its
text, closing the generator ends the work, and `duration` is called with the arguments. It lends no
GPU. `lent` keeps the seconds asked for; with `refuse` set, no call gets a GPU.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator
from typing import Any

import gradio as gr

lent: list[float] = []
refuse = ""
_fork = multiprocessing.get_context("fork")


def GPU(task: Callable[..., Iterator[Any]], *, duration: Callable[..., float]) -> Any:
    def borrow(*args: Any, **kwargs: Any) -> Iterator[Any]:
        if refuse:
            raise gr.Error(refuse)
        lent.append(duration(*args, **kwargs))
        # Sent through pipes, so everything that crosses is pickled, as it really is.
        arguments, values = _fork.Pipe(), _fork.Pipe()
        stopped = _fork.Event()
        process = _fork.Process(target=_work, args=(task, arguments[1], values[0], stopped))
        process.start()
        arguments[0].send((args, kwargs))
        try:
            while True:
                kind, value = values[1].recv()
                if kind == "end":
                    return
                if kind == "error":
                    raise gr.Error(value, title="ZeroGPU worker error")
                yield value
        finally:
            stopped.set()
            while kind not in ("end", "error"):
                kind, _ = values[1].recv()
            process.join()

    return borrow


def _work(task: Callable[..., Iterator[Any]], arguments: Any, values: Any, stopped: Any) -> None:
    args, kwargs = arguments.recv()
    try:
        for value in task(*args, **kwargs):
            if stopped.is_set():
                break
            values.send(("value", value))
        values.send(("end", os.getpid()))
    except Exception as error:
        values.send(("error", type(error).__name__))
