"""The other process of a lower bound: `python -m rui_cli.bench.peer write FILE | answer | hold COUNT`.

`write` and `answer` print a port of the loopback and serve one connection: a request is a header with the
length of what follows it and of the answer that is due; `write` appends and syncs what it got before it
answers. `hold` keeps records in a dict.
"""

import os
import socket
import struct
import sys

HEADER = struct.Struct(">QQ")
READY = b"\n"
_PIECE = 1 << 18


def serve(file: int | None) -> None:
    """Print a port, take one connection, and answer until it ends."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        connection, _ = listener.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection.makefile("rb")
        while len(head := stream.read(HEADER.size)) == HEADER.size:
            length, due = HEADER.unpack(head)
            octets = stream.read(length)
            if file is not None:
                os.write(file, octets)
                os.fdatasync(file)
            while due:
                piece = min(due, _PIECE)
                connection.sendall(bytes(piece))
                due -= piece


def hold(count: int) -> None:
    """Say ready, wait for a line, keep `count` records in a dict, say ready again, and wait."""
    from rui_cli.bench.samples import sample_records  # noqa: PLC0415 - only here is it needed

    _say()
    sys.stdin.readline()
    held = dict(sample_records(count))
    if len(held) != count:
        raise RuntimeError(f"{len(held)} records instead of {count}")
    _say()
    sys.stdin.readline()


def _say() -> None:
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()


def main(words: list[str]) -> None:
    """Do what the words ask for."""
    match words:
        case ["write", path]:
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            try:
                serve(file)
            finally:
                os.close(file)
        case ["answer"]:
            serve(None)
        case ["hold", count]:
            hold(int(count))
        case _:
            raise SystemExit("usage: write FILE | answer | hold COUNT")


if __name__ == "__main__":
    main(sys.argv[1:])
