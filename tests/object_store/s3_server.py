"""moto's S3 on a loopback port, for tests: one request at a time, each noted, its signature checked.

    build/s3/venv/bin/python tests/object_store/s3_server.py NOTES

Says `{"url": …, "key": …, "secret": …}` on stdout when it listens. NOTES gets a line per request: method, path,
status, agent. It ends when its standard input does. Runs under its own interpreter, which has no speechlake.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import boto3
from moto import settings
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

Environ = dict[str, Any]
Start = Callable[..., Any]
ALLOWED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}


class OneByOne:
    """The application, one request at a time: what S3 promises of a key's puts, moto's dictionaries do not."""

    def __init__(self, inner: Any, notes: Path) -> None:
        self._inner = inner
        self._lock = threading.Lock()
        self._notes = notes.open("a", encoding="utf-8", buffering=1)

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        """Answer, and note what was asked."""
        seen: list[str] = []

        def noted(status: str, headers: Any, exc_info: Any = None) -> Any:
            seen.append(status.split()[0])
            return start(status, headers, exc_info)

        # Before the lock: a client that stalls while it sends must not stall the others.
        length = environ.get("CONTENT_LENGTH")
        sent = environ["wsgi.input"].read(*([int(length)] if length else [])) if _has_body(environ) else b""
        environ["wsgi.input"] = io.BytesIO(sent)
        path = environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace")
        with self._lock:
            body = list(self._inner(environ, noted))
            said = [environ["REQUEST_METHOD"], path, "".join(seen), environ.get("HTTP_USER_AGENT", "")]
            self._notes.write(f"{json.dumps(said)}\n")
        return body


def _has_body(environ: Environ) -> bool:
    return bool(environ.get("CONTENT_LENGTH") or environ.get("wsgi.input_terminated"))


class Quiet(MotoRequestHandler):  # type: ignore[misc]
    """Says nothing of each request, and keeps connections open, as S3 does."""

    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Nothing."""


def main(notes: Path) -> None:
    """Serve until standard input ends."""
    os.environ.update(
        AWS_ACCESS_KEY_ID="root", AWS_SECRET_ACCESS_KEY="root", AWS_DEFAULT_REGION="eu-central-1"
    )
    application = OneByOne(DomainDispatcherApplication(create_backend_app), notes)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    made = with_user(url)
    settings.INITIAL_NO_AUTH_ACTION_COUNT = 0.0
    print(json.dumps({"url": url, **made}), flush=True)
    sys.stdin.read()
    server.shutdown()


def with_user(url: str) -> dict[str, str]:
    """A user who may use S3, made before signatures are checked; the user's key and secret."""
    iam = boto3.client("iam", endpoint_url=url)
    iam.create_user(UserName="speechlake")
    iam.put_user_policy(UserName="speechlake", PolicyName="s3", PolicyDocument=json.dumps(ALLOWED))
    key = iam.create_access_key(UserName="speechlake")["AccessKey"]
    return {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
