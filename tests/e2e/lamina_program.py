"""The program `lamina` as a subprocess, with a home of its own."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

_ENTRY = "import sys; from lamina.cli.main import main; sys.exit(main())"


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit status, standard output and standard error."""

    status: int
    out: str
    err: str

    @property
    def document(self):
        """The one JSON document on standard output."""
        return json.loads(self.out)


@dataclass
class Program:
    """Runs `lamina repo …` on one store.

    Attributes:
        home: where key, caches and store are.
        env: what the program's environment has besides a path.
        location: the STORE, if it is not a folder of `home`.
    """

    home: Path
    env: dict = field(default_factory=dict)
    location: str = ""

    def __post_init__(self):
        self.store = self.home / "store"
        self.key = self.home / "key"
        self.key.write_bytes(bytes(range(32)))
        self.env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LAMINA_KEY_FILE": str(self.key),
            "PYTHONWARNINGS": "error::ResourceWarning",
        } | self.env

    def start(self, command, *arguments, **options):
        """Start `lamina repo COMMAND STORE …`."""
        line = [
            sys.executable,
            "-c",
            _ENTRY,
            "repo",
            command,
            self.location or str(self.store),
            *map(str, arguments),
        ]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(line, env=self.env, **(pipes | options))

    def run(self, command, *arguments, status=0, **options):
        """Run to the end, and insist on the exit status."""
        process = self.start(command, *arguments, **options)
        out, err = process.communicate(timeout=120)
        ended = Ended(process.returncode, (out or b"").decode(), (err or b"").decode())
        assert ended.status == status, ended
        return ended

    def ask(self, command, *arguments, status=0):
        """Run with `--json`; the document."""
        return self.run(command, *arguments, "--json", status=status).document

    def capture(self, source, *options):
        return self.ask("capture", source, *options)

    def list_ids(self):
        return [item["snapshot"] for item in self.ask("list")["snapshots"]]

    def stop_when(self, process, condition, number=signal.SIGKILL):
        """Send a signal as soon as something is true, and wait for the end."""
        deadline = time.monotonic() + 60
        while not condition():
            assert process.poll() is None, "it ended before it could be stopped"
            assert time.monotonic() < deadline
            time.sleep(0.002)
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        return Ended(process.returncode, out.decode(), err.decode())

    def list_objects(self, folder):
        """Files of the store below a folder."""
        return sorted(path for path in (self.store / folder).rglob("*") if path.is_file())
