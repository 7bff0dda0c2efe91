"""Take everything away from the decoder's process but its processor time, one open file and one pipe.

Order matters: rights go first, then modules are imported, then the doors are shut (``close_doors``): after that no
file, socket or process can be opened, whatever a hostile recording makes the decoder do. A measure the kernel does not
permit is left out and missing from the returned names, so that ``portal doctor`` can say so.

Linux calls through ctypes: prctl(2), unshare(2), landlock(7).
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct

from portal.asr.decoding.limits import DecodeLimits

MEASURES = (
    "parent_death",
    "no_new_privileges",
    "no_dumps",
    "network",
    "user",
    "landlock",
    "limits",
    "no_files",
    "no_processes",
)
"""Every measure, in the order they are taken. A kernel without one leaves it out of ``MediaFacts.sandbox``."""

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446  # the same numbers on every architecture of Linux
_LANDLOCK_FS_V1 = (1 << 13) - 1  # every right to files that the first version knows
_NOBODY = 65534


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def drop_rights(parent: int) -> list[str]:
    """First half, before anything else is imported: no privileges, no network, gone when ``parent`` (a pid) is gone.

    Returns the names of the measures that hold. Raises SystemExit when the parent died meanwhile.
    """
    libc, held = _libc(), []
    if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0:
        held.append("parent_death")
    if os.getppid() != parent:  # it died before the line above
        raise SystemExit(1)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        held.append("no_new_privileges")
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0:
        held.append("no_dumps")
    flags = _CLONE_NEWNET if os.geteuid() == 0 else _CLONE_NEWNET | _CLONE_NEWUSER
    if libc.unshare(flags) == 0 or (flags == _CLONE_NEWNET and libc.unshare(flags | _CLONE_NEWUSER) == 0):
        held.append("network")
    return held


def close_doors(limits: DecodeLimits) -> list[str]:
    """Second half, after the last import and before the first byte of the recording. Returns what holds."""
    libc, held = _libc(), []
    if _become_nobody(libc):
        held.append("user")
    if _landlock(libc):
        held.append("landlock")
    hard = limits.cpu_seconds(limits.max_audio_ms) + 10
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds(0), hard))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    held.append("limits")
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))  # 0 the recording, 1 the pipe, 2 complaints: there is no fourth
    held.append("no_files")
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    if os.getuid() != 0:  # the kernel does not count root's processes
        held.append("no_processes")
    return held


def allow_cpu(limits: DecodeLimits, decoded_ms: int) -> None:
    """Move the processor limit along with what has been decoded."""
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (min(limits.cpu_seconds(decoded_ms), hard), hard))


def _become_nobody(libc: ctypes.CDLL) -> bool:
    """As root: give root up for good. True when the process is not root afterwards."""
    if os.geteuid() != 0:
        return True
    try:
        os.setgroups([])
        os.setresgid(_NOBODY, _NOBODY, _NOBODY)
        os.setresuid(_NOBODY, _NOBODY, _NOBODY)
    except OSError:
        return False  # a user namespace without a mapping: root there is nobody outside anyway
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # the kernel forgets it with the change of user
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    return True


def _landlock(libc: ctypes.CDLL) -> bool:
    """Forbid every use of the file system by path: a ruleset that handles all rights and grants none."""
    attributes = struct.pack("Q", _LANDLOCK_FS_V1)
    ruleset = libc.syscall(_LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    if ruleset < 0:
        return False
    try:
        return bool(libc.syscall(_LANDLOCK_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint32(0)) == 0)
    finally:
        os.close(ruleset)
