"""Archives that `zipfile` itself fails on, each in its own way, are rejected in words."""

import io
import zipfile

import pytest

from harness.bot.jobs.result import MEMBER, RejectedError, read_result


def packed(method: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(MEMBER, b"{}" * 5_000)
    return file.getvalue()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_only_githubs_own_compression_is_read(method: int) -> None:
    with pytest.raises(RejectedError, match="another way than deflate"):
        read_result(packed(method))


@pytest.mark.parametrize("offset", [0, 2, 4, 9])
@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_bad_compressed_data_is_a_rejection(method: int, offset: int) -> None:
    archive = bytearray(packed(method))
    start = archive.index(MEMBER.encode()) + len(MEMBER) + offset
    archive[start : start + 5] = b"\xff" * 5
    with pytest.raises(RejectedError):
        read_result(bytes(archive))


def test_a_key_that_is_there_twice_is_a_rejection() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, b'{"format": "harness.run/1", "run": {"status": 1, "status": 2}}')
    with pytest.raises(RejectedError, match="is not JSON"):
        read_result(file.getvalue())
