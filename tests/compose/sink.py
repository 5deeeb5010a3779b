"""Where the trial's messages go: takes what a Slack webhook gets and, with the password, mail; prints one line for each.

Runs in the exporter's image, with nothing but the standard library: ``python sink.py PASSWORD``.
"""

from __future__ import annotations

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread

PASSWORD = sys.argv[1]


class Webhook(BaseHTTPRequestHandler):
    """Takes a message for Slack."""

    def do_POST(self) -> None:
        """Print the path and the titles."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()
        print("slack", self.path, [one["title"] for one in body["attachments"]], flush=True)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing more."""


class Mail(StreamRequestHandler):
    """Takes a mail of somebody who knows the password."""

    def say(self, line: bytes) -> bytes:
        """Send a line, give back the answer."""
        self.wfile.write(line + b"\r\n")
        return self.rfile.readline().strip()

    def handle(self) -> None:
        """Talk until the client leaves."""
        said = self.say(b"220 sink")
        while said and not said.upper().startswith(b"QUIT"):
            word = said.upper()
            if word.startswith(b"EHLO"):
                said = self.say(b"250-sink\r\n250 AUTH LOGIN")
            elif word.startswith(b"AUTH"):
                self.say(b"334 " + base64.b64encode(b"Username:"))
                given = base64.b64decode(self.say(b"334 " + base64.b64encode(b"Password:")))
                said = self.say(b"235 ok" if given == PASSWORD.encode() else b"535 wrong password")
            elif word == b"DATA":
                line = self.say(b"354 go on")
                while line != b".":
                    if line.startswith(b"Subject:"):
                        print("mail", line.decode(), flush=True)
                    line = self.rfile.readline().strip(b"\r\n")
                said = self.say(b"250 ok")
            else:
                said = self.say(b"250 ok")
        self.wfile.write(b"221 bye\r\n")


if __name__ == "__main__":
    Thread(target=ThreadingTCPServer(("", 2525), Mail).serve_forever, daemon=True).start()
    ThreadingHTTPServer(("", 8080), Webhook).serve_forever()
