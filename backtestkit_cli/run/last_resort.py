"""Ending a process in which no Python can run any more.

C code that never gives up the interpreter (an endless `sum`, a regular expression that runs wild) stops every thread of
Python, a watching one too. A timer of the kernel does not need Python. It counts what one thread *computes*, not the
time that passes: a process that is stopped, or waits, is never ended by it.

Half a second before the end the kernel lets `faulthandler` write to stderr in which line the thread is. Linux only;
elsewhere nothing is armed.
"""

import ctypes
import faulthandler
import signal
import sys
import threading
import time

_STDERR = 2
_SIGEV_THREAD = 2
_SIGEV_THREAD_ID = 4
_DUMP_BEFORE_SECONDS = 0.5


class _Event(ctypes.Structure):
    """`struct sigevent`: what happens when a timer is over.

    `function` shares its place with the number of the thread that gets a signal; `padding` fills up to 64 bytes.
    """

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("function", ctypes.c_void_p),
        ("attributes", ctypes.c_void_p),
        ("padding", ctypes.c_char * 32),
    )


class _Times(ctypes.Structure):
    """`struct itimerspec`: once, after so long; all zero disarms."""

    _fields_ = (
        ("again_seconds", ctypes.c_long),
        ("again_nanoseconds", ctypes.c_long),
        ("seconds", ctypes.c_long),
        ("nanoseconds", ctypes.c_long),
    )


class LastResort:
    """Ends the process with `exit_code` when the thread that made this has computed for as long as was last said."""

    def __init__(self, exit_code: int) -> None:
        self._timers: list[ctypes.c_void_p] = []
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None
        if self._libc is None or not hasattr(self._libc, "timer_create"):
            return
        # Stays registered: nobody else uses this signal, and another run may be under way in another thread.
        faulthandler.register(signal.SIGRTMAX, file=_STDERR, all_threads=False)
        leave = ctypes.cast(self._libc._exit, ctypes.c_void_p)  # noqa: SLF001  # the C library's own name
        thread = threading.get_native_id()
        self._add(_Event(signal=signal.SIGRTMAX, notify=_SIGEV_THREAD_ID, function=thread))
        self._add(_Event(value=exit_code, notify=_SIGEV_THREAD, function=leave))

    def postpone(self, seconds: float) -> None:
        """Let the process live for so many more seconds of the thread's computing time."""
        for timer, before in zip(self._timers, (_DUMP_BEFORE_SECONDS, 0.0), strict=False):
            whole, part = divmod(max(seconds - before, 0.001), 1.0)
            times = _Times(seconds=int(whole), nanoseconds=int(part * 1e9))
            self._call("timer_settime", timer, 0, ctypes.byref(times), None)

    def close(self) -> None:
        """Disarm it for good."""
        for timer in self._timers:
            self._call("timer_delete", timer)
        self._timers = []

    def _add(self, event: _Event) -> None:
        timer = ctypes.c_void_p()
        clock = time.pthread_getcpuclockid(threading.get_ident())
        if self._call("timer_create", clock, ctypes.byref(event), ctypes.byref(timer)) == 0:
            self._timers.append(timer)

    def _call(self, name: str, *arguments: object) -> int:
        return int(getattr(self._libc, name)(*arguments))
