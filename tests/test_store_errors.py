"""What a lake's store says when it cannot be reached: what is wrong for good, and what passes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from speechlake.errors import NoStore, UsageError
from speechlake.files import _unreachable


class Thrown:
    """An exception of Java and its causes, the outermost first."""

    def __init__(self, said: Sequence[str]) -> None:
        self.said = said

    def toString(self) -> str:
        return self.said[0]

    def getCause(self) -> Thrown | None:
        return Thrown(self.said[1:]) if self.said[1:] else None


def judged(*said: str) -> Exception:
    error = Exception()
    error.java_exception = Thrown(said)  # type: ignore[attr-defined]
    return _unreachable("s3a://bucket/lake", error)


@pytest.mark.parametrize(
    "said",
    [
        ["java.net.ConnectException: Call From a to b:8020 failed: Connection refused"],
        [
            "org.apache.hadoop.fs.s3a.AWSClientIOException: getFileStatus on lake",
            "software.amazon.awssdk.core.exception.SdkClientException: Unable to execute HTTP request: Read timed out",
            "java.net.SocketTimeoutException: Read timed out",
        ],
        [
            "org.apache.hadoop.fs.s3a.AWSStatus500Exception: lake: (Service: S3, Status Code: 503, Request ID: 1)"
        ],
        ["java.net.UnknownHostException: store.example.org"],
        [
            'java.io.IOException: Operation failed: "The server is busy.", 503, HEAD, https://a.example.org/lake'
        ],
        ["java.io.IOException: com.google.api.client.http.HttpResponseException: 503 Service Unavailable"],
        ["java.io.IOException: Error accessing gs://lake", "HttpResponseException: 502 Bad Gateway"],
        ["org.apache.hadoop.ipc.RemoteException(org.apache.hadoop.ipc.RetriableException): starting up"],
        ["SafeModeException: Cannot create file /lake. Name node is in safe mode."],
    ],
)
def test_a_store_that_does_not_answer_is_worth_another_try(said: list[str]) -> None:
    told = judged(*said)
    assert isinstance(told, NoStore)
    assert told.exit_code == 5
    assert said[0] in told.message


@pytest.mark.parametrize(
    "said",
    [
        ["java.nio.file.AccessDeniedException: lake: getFileStatus: (Service: S3, Status Code: 403)"],
        ['org.apache.hadoop.fs.UnsupportedFileSystemException: No FileSystem for scheme "xyz"'],
        # Whoever has no credentials asks a service of the cloud for some, which is not there either.
        [
            "java.nio.file.AccessDeniedException: lake: org.apache.hadoop.fs.s3a.auth.NoAwsCredentialsException",
            "java.net.SocketTimeoutException: Connect timed out",
        ],
        ["java.lang.ClassNotFoundException: Class org.apache.hadoop.fs.s3a.S3AFileSystem not found"],
        ["java.lang.IllegalArgumentException: bucket name"],
        ["java.lang.IllegalArgumentException: s3a://bucket/503/lake"],
    ],
)
def test_a_store_that_refuses_us_or_that_nothing_here_can_reach_is_a_mistake(said: list[str]) -> None:
    assert isinstance(judged(*said), UsageError)
