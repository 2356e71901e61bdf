"""An IPython shell that runs cells as a notebook would and collects what they show.

The same shell serves both sides of the wall, each in its own process: magics, rich display, inline
figures, tracebacks. It knows nothing of tests and scores.
"""

from __future__ import annotations

import base64
import os
import random
import sys
import types
from dataclasses import dataclass, field
from typing import Any

import matplotlib
import numpy as np
import torch
from IPython.core.displayhook import DisplayHook
from IPython.core.displaypub import DisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.text import SList
from traitlets.config import Config

MAX_TEXT = 100_000
"""Characters of text that one cell may show; the rest is dropped, with a note."""

MAX_PICTURES = 20
MAX_PICTURE_BYTES = 4 * 2**20
_SH = "/bin/sh"
_PICTURES = ("image/png", "image/jpeg")


class Outputs:
    """What a cell showed, in nbformat's shape, within limits while it streams."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self._text_left = MAX_TEXT
        self._pictures_left = MAX_PICTURES

    def take(self) -> list[dict[str, Any]]:
        """Return what was collected and start afresh."""
        items = self.items
        self.__init__()  # type: ignore[misc]
        return items

    def clip(self, text: Any) -> str:
        """Return as much of `text` as the cell may still show."""
        if self._text_left <= 0:
            return ""
        text = str(text)
        kept = text[: self._text_left]
        self._text_left -= len(kept)
        if self._text_left <= 0:
            kept += f"\n[output beyond {MAX_TEXT:,} characters dropped]\n"
        return kept

    def stream(self, name: str, text: str) -> None:
        """Add to standard output or standard error."""
        text = self.clip(text)
        if not text:
            return
        last = self.items[-1] if self.items else None
        if last and last["output_type"] == "stream" and last["name"] == name:
            last["text"] += text
        else:
            self.items.append({"output_type": "stream", "name": name, "text": text})

    def show(self, data: dict[str, Any], *, result: bool = False) -> None:
        """Add a displayed object: its text and its picture, nothing that a browser could run."""
        kept: dict[str, Any] = {}
        for mime in _PICTURES:
            picture = data.get(mime)
            if isinstance(picture, str):
                picture = base64.b64decode(picture)
            if picture and self._pictures_left > 0 and len(picture) <= MAX_PICTURE_BYTES:
                kept[mime] = base64.b64encode(picture).decode("ascii")
                self._pictures_left -= 1
        if "text/plain" in data:
            kept["text/plain"] = self.clip(data["text/plain"])
        if not kept:
            return
        item: dict[str, Any] = {"data": kept, "metadata": {}}
        if result:
            item |= {"output_type": "execute_result", "execution_count": None}
        else:
            item |= {"output_type": "display_data"}
        self.items.append(item)

    def error(self, name: str, message: str, traceback: list[str]) -> None:
        """Add an exception."""
        lines = [self.clip(line) for line in traceback]
        self.items.append(
            {
                "output_type": "error",
                "ename": name,
                "evalue": message[:2000],
                "traceback": [line for line in lines if line],
            }
        )


class _Stream:
    """`sys.stdout` or `sys.stderr` of a cell."""

    encoding = "utf-8"
    errors = "replace"

    def __init__(self, name: str, outputs: Outputs):
        self.name = f"<{name}>"
        self._name = name
        self._outputs = outputs

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        self._outputs.stream(self._name, text)
        return len(text)

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def flush(self) -> None:
        pass

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True


class _Hook(DisplayHook):
    """Collects the value of a cell's last expression."""

    outputs: Outputs

    def __call__(self, result: Any = None) -> None:
        if result is None or self.quiet():
            return
        data, _ = self.compute_format_data(result)
        self.outputs.show(data, result=True)
        if self.exec_result is not None:
            self.exec_result.result = result


class _Publisher(DisplayPublisher):
    """Collects what `display` is given."""

    outputs: Outputs

    def publish(self, data: Any, *_: Any, **__: Any) -> None:
        self.outputs.show(data)

    def clear_output(self, wait: bool = False) -> None:
        self.outputs.items.clear()


class _Shell(InteractiveShell):
    """IPython's shell with our hooks; errors are collected rather than printed."""

    outputs: Outputs

    def _showtraceback(self, etype: Any, evalue: Any, stb: Any) -> None:
        try:
            message = str(evalue)
        except Exception:
            message = "(its message cannot be shown)"
        self.outputs.error(getattr(etype, "__name__", "Error"), message, list(stb))

    def system(self, cmd: str) -> None:
        """Run a `!command`, as `%pip` does too; without a shell, say so and go on, as at a
        command that fails: the rest of a student's cell is Python."""
        if os.path.exists(_SH):
            super().system(cmd)
            return
        self.outputs.stream("stderr", f"not run, there is no command line here: {cmd}\n")
        self.user_ns["_exit_code"] = 127

    def getoutput(self, cmd: str, split: bool = True, depth: int = 0) -> SList | str:
        """Return what a command printed, for `name = !command`; without a shell, nothing."""
        if os.path.exists(_SH):
            return super().getoutput(cmd, split, depth + 1)
        self.system(cmd)
        return SList([]) if split else ""

    def enable_gui(self, gui: Any = None) -> None:
        pass

    def ask_exit(self) -> None:
        """`exit` ends a session at a terminal; a notebook's cells go on."""


@dataclass(frozen=True)
class Ran:
    """What came of one cell."""

    error: BaseException | None
    result: Any
    outputs: list[dict[str, Any]] = field(default_factory=list)


class Shell:
    """One namespace and one IPython shell; there is one in a process."""

    def __init__(self) -> None:
        config = Config()
        config.HistoryManager.enabled = False
        config.HistoryAccessor.enabled = False
        config.InteractiveShell.colors = "nocolor"
        config.InteractiveShell.xmode = "Context"
        self.outputs = Outputs()
        self._main = types.ModuleType("__main__")
        self._shell = _Shell.instance(
            config=config,
            displayhook_class=_Hook,
            display_pub_class=_Publisher,
            user_module=self._main,
            user_ns=self._main.__dict__,
        )
        self._shell.outputs = self.outputs
        self._shell.displayhook.outputs = self.outputs
        self._shell.display_pub.outputs = self.outputs
        # IPython's cells define functions and classes "in __main__", as a kernel's do.
        sys.modules["__main__"] = self._main
        matplotlib.use("module://matplotlib_inline.backend_inline")
        from matplotlib_inline import backend_inline
        from matplotlib_inline import config as inline_config

        inline_config.InlineBackend.instance(parent=self._shell).shell = self._shell
        backend_inline.configure_inline_support(self._shell, matplotlib.get_backend())

    @property
    def namespace(self) -> dict[str, Any]:
        """The names that the cells have bound."""
        return self._main.__dict__

    def redirect(self) -> None:
        """Send `print` and warnings of this process to the collected outputs, for good."""
        sys.stdout = _Stream("stdout", self.outputs)
        sys.stderr = _Stream("stderr", self.outputs)

    def run(self, source: str) -> Ran:
        """Run one cell; its exception, if any, is a result and not raised."""
        outcome = self._shell.run_cell(source, store_history=False)
        error = outcome.error_before_exec or outcome.error_in_exec
        return Ran(error, outcome.result, self.outputs.take())


# Before a grader's process takes note of who calls them: what the engine seeds is no test's seed.
_seed_python, _seed_numpy = random.seed, np.random.seed


def reseed(seed: int) -> None:
    """Seed the generators that a cell may use without naming a seed."""
    _seed_python(seed)
    _seed_numpy(seed % 2**32)
    # Not torch.manual_seed, which looks for every kind of accelerator each time.
    torch.default_generator.manual_seed(seed % 2**63)
