"""Notices that the Ray on this machine is gone, before Ray ends this process for it without a word.

A driver hangs on two processes of Ray's: the raylet of its machine, and, where its Ray is private,
the control service. Ray itself waits for seconds to a minute, and then ends the driver.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from typing import Any

import ray

from alsweep.sweep.stops import in_main_thread

_SECONDS_BETWEEN = 1.0
_NEEDED = ("raylet", "gcs_server")


class RayGuard:
    """Watches Ray beside the main thread, which it interrupts as Ctrl-C would.

    Attributes:
        gone: What is gone; None where all is well.
    """

    def __init__(self) -> None:
        self.gone: str | None = None
        self._node: Any = ray._private.worker._global_node
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="ray guard", daemon=True)

    def __enter__(self) -> RayGuard:
        # Signals are the main thread's: nobody else could be interrupted. A client of Ray's
        # (ray://) has no node of its own.
        if in_main_thread() and self._node is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Watch no more."""
        self._done.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(_SECONDS_BETWEEN):
            self.gone = what_is_gone(self._node)
            if self.gone is not None:
                os.kill(os.getpid(), signal.SIGINT)
                return


def what_is_gone(node: Any) -> str | None:
    """The process of Ray's that a driver cannot do without and that has ended; None if none has.

    Args:
        node: Ray's own, of the driver.
    """
    own = {name: infos for name, infos in node.all_processes.items() if name in _NEEDED}
    for name, infos in own.items():
        code = next((c for one in infos if (c := one.process.poll()) is not None), None)
        if code is not None:
            return f"{name} ended with {code}"
    # Of a cluster that was there before, there is nothing but the socket to tell by.
    return None if own or _answers(node.raylet_socket_name) else "its raylet does not answer"


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as knocking:
        try:
            knocking.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True
