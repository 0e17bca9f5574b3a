"""Data sets of a few images, as tools/user/fetch_dataset.sh fetches them."""

import gzip
import io
import struct
import subprocess
import tarfile
import zlib


def png(seed):
    rows = b"".join(b"\0" + bytes((seed * 7 + x * y) % 256 for x in range(90)) for y in range(20))
    chunks = (b"IHDR", struct.pack(">2I5B", 30, 20, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in (*chunks, (b"IEND", b"")))  # fmt: skip


def archive(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return stream.getvalue()


def write_mirror(folder):
    """What fetch_dataset.sh fetches, and its sums."""
    digits = struct.pack(">4I", 0x803, 9, 28, 28) + bytes(i % 251 for i in range(9 * 784))
    images = {f"batch/data_batch_{i}.bin": bytes([i] * 3 * 3073) for i in range(1, 6)}
    images["batch/test_batch.bin"] = bytes([6] * 3 * 3073)
    flowers = {f"jpg/image_{i:05}.jpg": png(i) for i in range(1, 10)}
    folder.mkdir()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(digits))
    (folder / "t10k-images-idx3-ubyte.gz").write_bytes(gzip.compress(digits))
    (folder / "cifar-10-binary.tar.gz").write_bytes(archive(images))
    (folder / "102flowers.tgz").write_bytes(archive(flowers))
    sums = subprocess.check_output("sha256sum *", shell=True, cwd=folder, text=True)
    (folder.parent / "sums").write_text(sums)
