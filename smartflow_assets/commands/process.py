"""The process of a command: how it takes in a thousand modules, and how it ends.

Both were a quarter of what a run with nothing new costs. Python looks for garbage again and again while modules are loaded, where there is
none, and takes every module apart before it ends, where the kernel takes all at once.
"""

import atexit
import gc
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

PATIENCE = 10.0  # seconds for threads that do not end
_YOUNG = 10_000  # objects after which garbage is looked for; Python's 700 are a look for every few rows that Dagster reads


@contextmanager
def loading() -> Iterator[None]:
    """Import inside: nothing is looked for meanwhile, and what was loaded, which stays as long as the process, is never looked at again."""
    was_on, known = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > known:
            gc.freeze()
            atexit.register(gc.unfreeze)  # a process that ends as any program takes apart what was frozen too: DuckDB tells what is left
            gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])
        if was_on:
            gc.enable()


def open_streams() -> None:
    """Give the program streams where it was started without: what is closed would be the next file that is opened, a warehouse say."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


def leave(code: int) -> NoReturn:
    """End the process with this exit code: what was registered for its end is done, both streams are written, no module is taken apart.

    A thread that a reader has left behind is waited for a while.
    """
    deadline = time.monotonic() + PATIENCE
    for thread in threading.enumerate():
        if not thread.daemon and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
    run_registered = getattr(atexit, "_run_exitfuncs", None)
    if run_registered is not None:
        run_registered()
        with suppress(OSError):  # of a pipe that is closed or a disk that is full Python tells at the usual end
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    sys.exit(code)
