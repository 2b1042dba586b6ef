"""A trained model as bytes that cannot execute code: an .npz of plain arrays, one of them a JSON header.

The same contents give the same bytes, so an artefact is named by its digest.
"""

import io
import json
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from headrace.learning.values import DamagedArtefact
from headrace.learning.values import digest as digest

FORMAT = 1
MAX_BYTES = 2**31

Array = npt.NDArray[np.generic]


def pack(header: Mapping[str, object], arrays: Mapping[str, Array]) -> bytes:
    """Write a JSON-serialisable header and named arrays; equal contents give equal bytes."""
    text = json.dumps({**header, "format": FORMAT}, sort_keys=True, ensure_ascii=True)
    entries = {"header": np.frombuffer(text.encode(), dtype=np.uint8), **arrays}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(entries):
            # A ZipInfo made by hand carries the date of 1980; one made by zipfile would carry today's.
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, _array_bytes(entries[name]))
    return buffer.getvalue()


def unpack(data: bytes) -> tuple[dict[str, object], dict[str, Array]]:
    """Read header and arrays back; DamagedArtefact if the bytes are not exactly what `pack` wrote."""
    try:
        arrays = {name.removesuffix(".npy"): _array(entry) for name, entry in _entries(data)}
        header = json.loads(arrays.pop("header").tobytes())
    except (ValueError, KeyError, OSError, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise DamagedArtefact(f"not a readable model: {error}") from error
    except zipfile.BadZipFile as error:
        raise DamagedArtefact(f"not a readable model: {error}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise DamagedArtefact(f"not a model of format {FORMAT}")
    return header, arrays


def _entries(data: bytes) -> list[tuple[str, bytes]]:
    """Read every entry whole, which checks its CRC before anything in it is believed."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
            raise DamagedArtefact(f"not a readable model: larger than {MAX_BYTES} bytes")
        return [(entry.filename, archive.read(entry)) for entry in archive.infolist()]


def _array_bytes(array: Array) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return buffer.getvalue()


def _array(data: bytes) -> Array:
    array: Array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return array
