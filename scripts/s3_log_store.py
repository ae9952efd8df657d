"""Compile scripts/cluster/ConditionalS3LogStore.java into a jar, for lakes on S3 that several drivers write.

    .venv/bin/python scripts/s3_log_store.py dist/speechlake-s3.jar

By the compiler that Spark itself uses for its queries: a machine that runs Spark needs no JDK for it.
"""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).resolve().parent / "cluster" / "ConditionalS3LogStore.java"


def compiled(source: str) -> dict[str, bytes]:
    """Class files by name, compiled against Spark's jars; ends the program with the compiler's words where it fails."""
    from py4j.protocol import Py4JJavaError
    from pyspark.java_gateway import launch_gateway

    gateway: Any = launch_gateway()  # type: ignore[no-untyped-call]
    try:
        jvm = gateway.jvm
        compiler = jvm.org.codehaus.janino.SimpleCompiler()
        compiler.setParentClassLoader(jvm.java.lang.Thread.currentThread().getContextClassLoader())
        compiler.setDebuggingInformation(True, True, True)
        compiler.cook(source)
        return {
            f"{name.replace('.', '/')}.class": bytes(code) for name, code in compiler.getBytecodes().items()
        }
    except Py4JJavaError as error:
        raise SystemExit(f"{SOURCE.name}: {error.java_exception.getMessage()}") from None
    finally:
        gateway.shutdown()
        gateway.proc.stdin.close()
        gateway.proc.wait()


def main(target: Path) -> None:
    """Write the jar; the same source gives the same bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w") as jar:
        for name, code in sorted(compiled(SOURCE.read_text("utf-8")).items()):
            jar.writestr(zipfile.ZipInfo(name), code)
    print(target)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
