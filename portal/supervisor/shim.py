"""Becomes another program that dies when its parent dies: ``python -I -S shim.py PARENT_PID PROGRAM ARGUMENTS…``.

Linux sends the signal when the *thread* that started us ends, so the supervisor starts children from its main thread
only. The wish survives ``execv`` but not ``fork``: gunicorn's workers and RQ's work-horses ask again for themselves.
A file that is run by its path and imports little: it costs some 20 ms and no lock can be held across it, which a
``preexec_fn`` in a process with threads could not promise.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends; does nothing on systems without ``prctl``."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we asked
        os._exit(1)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]))
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606  # that is its purpose
