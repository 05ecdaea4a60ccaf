"""A child that hears of the end of its parent, also of one that is killed and can tell nobody: the kernel tells it. On Linux; elsewhere
nothing does."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def interrupted_with_parent() -> Callable[[], None] | None:
    """What a child is to do before it begins (`preexec_fn`), so that the end of its parent is a Ctrl-C for it."""
    if not sys.platform.startswith("linux"):
        return None
    prctl, parent = ctypes.CDLL(None, use_errno=True).prctl, os.getpid()

    def ask_kernel() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a shell ignores it for what it starts in the background, and so would the child
        prctl(_PR_SET_PDEATHSIG, signal.SIGINT, 0, 0, 0)
        if os.getppid() != parent:  # it has ended meanwhile
            os._exit(1)

    return ask_kernel
