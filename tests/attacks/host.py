"""What an attack may try to reach outside: files, a server, and the table of processes."""

from __future__ import annotations

import secrets
import socket
import threading
from pathlib import Path


class Host:
    """A stretch of the machine beside the grading, watched while submissions are graded."""

    def __init__(self, folder: Path):
        folder.mkdir(parents=True)
        self.folder = folder
        self.word = secrets.token_hex(16)
        """Stands in a file that everybody on the machine may read, and nowhere else."""
        (folder / "secret.txt").write_text(self.word)
        (folder / "drop").mkdir()
        (folder / "drop").chmod(0o777)
        self._heard: list[bytes] = []
        self._server = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._server.getsockname()[1]
        self._abstract = socket.socket(socket.AF_UNIX)
        self._abstract.bind(f"\0attacks-{self.word}")
        self._abstract.listen(64)
        for server in (self._server, self._abstract):
            threading.Thread(target=self._listen, args=(server,), daemon=True).start()

    def _listen(self, server: socket.socket) -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                try:
                    self._heard.append(connection.recv(4096))
                except OSError:
                    continue

    def close(self) -> None:
        """Stop listening."""
        self._server.close()
        self._abstract.close()

    def heard(self, tag: str) -> bool:
        """Say whether anything with this tag came in over the network."""
        return any(tag.encode() in message for message in self._heard)

    def dropped(self, tag: str) -> bool:
        """Say whether a file whose name starts with this tag was left in the drop folder."""
        return any((self.folder / "drop").glob(f"{tag}*"))

    def survivors(self, tag: str) -> list[int]:
        """Return the processes that have named themselves by this tag."""
        found = []
        for comm in Path("/proc").glob("[0-9]*/comm"):
            try:
                if comm.read_text().strip() == tag:
                    found.append(int(comm.parent.name))
            except OSError:
                continue
        return found
