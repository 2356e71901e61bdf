"""What an attack may try to reach outside: files, servers, and processes of its own to harm."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
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
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(folder / "door"))
        self._door.listen(64)
        (folder / "door").chmod(0o777)
        self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._datagrams.bind(("127.0.0.1", self.port))
        self._victims: dict[str, subprocess.Popen] = {}
        threading.Thread(target=self._collect, daemon=True).start()
        for server in (self._server, self._abstract, self._door):
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

    def _collect(self) -> None:
        while True:
            try:
                self._heard.append(self._datagrams.recv(4096))
            except OSError:
                return

    def close(self) -> None:
        """Stop listening, and end the victims."""
        for server in (self._server, self._abstract, self._door, self._datagrams):
            server.close()
        for victim in self._victims.values():
            victim.kill()
            victim.wait()

    def victim(self, tag: str) -> int:
        """Return the pid of a process that sleeps, this attack's own; start it if need be."""
        if tag not in self._victims:
            # Its arguments hold the word: whoever lists processes would see it.
            self._victims[tag] = subprocess.Popen(
                ["sleep", "900", f"0.{int(self.word, 16)}"],
                start_new_session=True,
                preexec_fn=lambda: os.setpriority(os.PRIO_PROCESS, 0, 5),
            )
        return self._victims[tag].pid

    def fate(self, tag: str) -> str:
        """Say how this attack's victim is: none, ended, stopped, slowed, limited or well."""
        if tag not in self._victims:
            return "none"
        process = self._victims[tag]
        if process.poll() is not None:
            return "ended"
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        if fields[0] in "Tt":
            return "stopped"
        if int(fields[16]) != 5:
            return "slowed"
        limits = Path(f"/proc/{process.pid}/limits").read_text().splitlines()
        if any(line.split()[-3] == "7777" for line in limits if "open files" in line):
            return "limited"
        return "well"

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
