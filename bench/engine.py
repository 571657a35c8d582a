"""The Docker Engine over its socket: one HTTP request per call, each counted."""

import http.client
import io
import itertools
import json
import socket
import tarfile
import time
from urllib.parse import quote

SOCKET = "/var/run/docker.sock"


class _Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(SOCKET)


class Refused(Exception):
    """The Engine's answer to a call that failed."""


class Engine:
    def __init__(self):
        self._calls = itertools.count()

    def calls(self):
        """How many requests were sent. To be asked once, as asking counts too."""
        return next(self._calls)

    def ask(self, method, path, body=None, kind="application/json"):
        next(self._calls)
        if body is not None and kind == "application/json":
            body = json.dumps(body)
        connection = _Connection("localhost")
        connection.request(method, path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        if answer.status >= 400:
            raise Refused(f"{method} {path}: {answer.status} {data[:400].decode(errors='replace')}")
        return json.loads(data) if answer.getheader("Content-Type", "").startswith("application/json") and data else data

    def remove(self, path):
        """Absent already is fine."""
        try:
            self.ask("DELETE", path)
        except Refused as refused:
            if ": 404 " not in str(refused):
                raise

    def upload(self, container, directory, members):
        """Each member is (path, mode, uid, contents); without contents it is a directory."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as archive:
            for path, mode, uid, contents in members:
                member = tarfile.TarInfo(path)
                member.mode, member.uid, member.gid, member.mtime = mode, uid, uid, int(time.time())
                if contents is None:
                    member.type = tarfile.DIRTYPE
                    archive.addfile(member)
                else:
                    member.size = len(contents)
                    archive.addfile(member, io.BytesIO(contents))
        self.ask("PUT", f"/containers/{container}/archive?path={quote(directory)}", packed.getvalue(), "application/x-tar")

    def download(self, container, directory):
        """The regular files in a directory: (path, mode, uid, contents)."""
        packed = self.ask("GET", f"/containers/{container}/archive?path={quote(directory.rstrip('/') + '/.')}")
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            return [
                (member.name.removeprefix("./"), member.mode, member.uid, archive.extractfile(member).read())
                for member in archive
                if member.isfile()
            ]

    def run(self, container, argv, stdin=b""):
        """Runs a program in a container and answers what it printed. A code other than 0 is an error."""
        streams = {"AttachStdin": True, "AttachStdout": True, "AttachStderr": True, "Tty": False, "Cmd": argv}
        exec_id = self.ask("POST", f"/containers/{container}/exec", streams)["Id"]
        next(self._calls)
        wire = socket.socket(socket.AF_UNIX)
        wire.connect(SOCKET)
        body = b'{"Detach":false,"Tty":false}'
        wire.sendall(
            f"POST /exec/{exec_id}/start HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
        )
        heard = b""
        while b"\r\n\r\n" not in heard:
            heard += wire.recv(65536) or b"\r\n\r\n"
        # What is sent before the streams are connected would be lost.
        wire.sendall(stdin)
        wire.shutdown(socket.SHUT_WR)
        heard = heard.partition(b"\r\n\r\n")[2] + b"".join(iter(lambda: wire.recv(65536), b""))
        wire.close()
        output = b""
        while len(heard) >= 8:
            length = int.from_bytes(heard[4:8], "big")
            output, heard = output + heard[8 : 8 + length], heard[8 + length :]
        # The Engine learns of a program's end a moment after its output has ended.
        for _ in range(1000):
            state = self.ask("GET", f"/exec/{exec_id}/json")
            if not state["Running"]:
                break
            time.sleep(0.002)
        if state["ExitCode"] != 0:
            raise Refused(f"{argv[0]} ended with {state['ExitCode']}: {output[:400]!r}")
        return output
