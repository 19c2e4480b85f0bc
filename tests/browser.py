"""A page in the system's own headless Chromium, driven over its DevTools protocol."""

import base64
import itertools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_PATIENCE_S = 60
_CHUNK = 1 << 16


def find_chromium() -> str | None:
    """The first browser on PATH, if there is one."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One tab; what its console says is kept.

    Attributes:
        complaints: Errors and warnings of the console, and exceptions that nothing caught.
        requests: Addresses of all that pages asked for, themselves included.
    """

    def __init__(self, reader: int, writer: int) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._reader, self._writer = os.fdopen(reader, "rb", 0), os.fdopen(writer, "wb")
        self._unread = bytearray()
        self._ids = itertools.count(1)
        self._session: str | None = None
        self._loaded = False
        (tab,) = [
            one for one in self._call("Target.getTargets")["targetInfos"] if one["type"] == "page"
        ]
        attached = self._call("Target.attachToTarget", targetId=tab["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._call(f"{domain}.enable")

    def open(self, page: Path, width: int = 1400, height: int = 900) -> None:
        """Show a page and wait until it is loaded, its scripts included."""
        self._measure(width, height)
        self._loaded = False
        self._call("Page.navigate", url=page.resolve().as_uri())
        while not self._loaded:
            self._hear()

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page that is shown another width, and wait until it has settled."""
        self._measure(width, height)
        self._settle()

    def scheme(self, name: str) -> None:
        """Prefer ``light`` or ``dark``."""
        features = [{"name": "prefers-color-scheme", "value": name}]
        self._call("Emulation.setEmulatedMedia", features=features)
        self._settle()

    def touch_screen(self, fingers: int) -> None:
        """Have a screen that is touched with up to so many fingers; none is a mouse again."""
        points = {"maxTouchPoints": fingers} if fingers else {}
        self._call("Emulation.setTouchEmulationEnabled", enabled=fingers > 0, **points)

    def mouse(self, kind: str, x: float, y: float, **more: Any) -> None:
        """Move, press or release (``Moved``, ``Pressed``, ``Released``, ``Wheel``); CSS pixels."""
        self._call("Input.dispatchMouseEvent", type=f"mouse{kind}", x=x, y=y, **more)

    def touch(self, kind: str, points: Sequence[Sequence[float]]) -> None:
        """Touch, move or lift fingers (``Start``, ``Move``, ``End``): those that are down."""
        places = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
        self._call("Input.dispatchTouchEvent", type=f"touch{kind}", touchPoints=places)

    def press(self, key: str, *, shift: bool = False, control: bool = False) -> None:
        """Press a key and let it go; ``key`` is as in JavaScript's ``KeyboardEvent.key``."""
        held = {"key": key, "modifiers": 8 * shift + 2 * control}
        typed = {"text": key} if len(key) == 1 and not control else {}
        self._call(
            "Input.dispatchKeyEvent", type="keyDown" if typed else "rawKeyDown", **held, **typed
        )
        self._call("Input.dispatchKeyEvent", type="keyUp", **held)

    def downloads_to(self, folder: Path) -> None:
        """Put what pages save into a folder, under its own name."""
        folder.mkdir(parents=True, exist_ok=True)
        where = {"behavior": "allow", "downloadPath": str(folder), "eventsEnabled": True}
        self._call("Browser.setDownloadBehavior", **where)
        self._call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folder))

    def _measure(self, width: int, height: int) -> None:
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._call("Emulation.setDeviceMetricsOverride", **size)

    def _settle(self) -> None:
        self.ask("new Promise((done) => setTimeout(done, 400))")

    def ask(self, expression: str) -> Any:
        """What a JavaScript expression evaluates to, as JSON; a promise is waited for."""
        answer = self._call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(_said(answer["exceptionDetails"]))
        return answer["result"].get("value")

    def click(self, x: float, y: float) -> None:
        """Move the mouse to a place in the window, and press it once figures have noticed."""
        at = {"x": x, "y": y, "button": "left", "clickCount": 1}
        self._call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
        self._settle()
        for kind in ("mousePressed", "mouseReleased"):
            self._call("Input.dispatchMouseEvent", type=kind, **at)
        self._settle()

    def picture(self) -> bytes:
        """What is seen, as PNG."""
        return base64.b64decode(self._call("Page.captureScreenshot", format="png")["data"])

    def picture_of(self, x: float, y: float, width: float, height: float) -> bytes:
        """What a part of the page looks like, as PNG."""
        clip = {"x": x, "y": y, "width": width, "height": height, "scale": 1}
        shot = self._call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        return base64.b64decode(shot["data"])

    def close(self) -> None:
        """End the browser."""
        self._session = None
        self._call("Browser.close")

    def _call(self, method: str, **params: Any) -> Any:
        id_ = next(self._ids)
        message = {"id": id_, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        self._writer.write(json.dumps(message).encode() + b"\0")
        self._writer.flush()
        while (heard := self._hear()).get("id") != id_:
            pass
        if "error" in heard:
            raise RuntimeError(f"{method}: {heard['error']['message']}")
        return heard["result"]

    def _hear(self) -> dict[str, Any]:
        while (end := self._unread.find(0)) < 0:
            heard = self._reader.read(_CHUNK)
            if not heard:
                raise EOFError("the browser ended")
            self._unread += heard
        message = json.loads(self._unread[:end])
        del self._unread[: end + 1]
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method: str, params: dict[str, Any]) -> None:
        self._loaded |= method == "Page.loadEventFired"
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        if method == "Runtime.exceptionThrown":
            self.complaints.append(_said(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.complaints.append(str([one.get("value") for one in params["args"]]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.complaints.append(params["entry"]["text"])


def _said(details: dict[str, Any]) -> str:
    return details.get("exception", {}).get("description") or details["text"]


@contextmanager
def browser(program: str, profile: Path) -> Iterator[Browser]:
    """Start a browser with a profile of its own; it is ended in any case.

    The protocol runs over two pipes, which the browser expects as its files 3 and 4: no port, and
    nothing to install.
    """
    command = [
        *(program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
        # WebGL without a graphics card, for what is drawn in space.
        *("--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
        *("--remote-debugging-pipe", "--no-first-run", f"--user-data-dir={profile}", "about:blank"),
    ]
    theirs_in, ours_out = os.pipe()
    ours_in, theirs_out = os.pipe()
    shell = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
    process = subprocess.Popen(
        ["/bin/bash", "-c", shell, "browser", *command],
        pass_fds=(theirs_in, theirs_out),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(theirs_in)
    os.close(theirs_out)
    try:
        tab = Browser(ours_in, ours_out)
        yield tab
        tab.close()
        process.wait(_PATIENCE_S)
    finally:
        process.kill()
        process.wait()
