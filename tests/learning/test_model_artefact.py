"""A model's bytes: exact, equal for equal contents, and refused when they are anything else."""

import io
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learning_corpus import reviewed

from headrace.learning import artefact
from headrace.learning.prediction import load
from headrace.learning.training import train
from headrace.learning.values import DamagedArtefact

HEADER = {"labels": ["Karte > Überfällig", "卡"], "family": "english"}
ARRAYS = {"weights": np.arange(12, dtype="<i2").reshape(4, 3), "offsets": np.array([0.5, -1.0, 2.0])}


class Trap:
    """An object whose unpickling would run code."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        """Make pickle call `exit`."""
        return exit, ("executed",)


def saved(**arrays: np.ndarray) -> bytes:
    """Write arrays the way numpy itself does, objects included."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=True, **arrays)
    return buffer.getvalue()


def test_contents_come_back() -> None:
    """What is packed is read back equal, with types and shapes."""
    header, arrays = artefact.unpack(artefact.pack(HEADER, ARRAYS))
    assert {key: header[key] for key in HEADER} == HEADER
    assert arrays.keys() == ARRAYS.keys()
    assert all(np.array_equal(arrays[name], ARRAYS[name]) for name in ARRAYS)
    assert arrays["weights"].dtype == np.dtype("<i2")


def test_equal_contents_have_one_digest() -> None:
    """The order in which contents are given does not reach the bytes."""
    turned = dict(reversed(ARRAYS.items()))
    assert artefact.pack(HEADER, ARRAYS) == artefact.pack(dict(reversed(HEADER.items())), turned)
    assert len(artefact.digest(b"")) == 64


def test_objects_are_never_unpickled() -> None:
    """An entry with objects is refused, without running what they carry."""
    with pytest.raises(DamagedArtefact):
        artefact.unpack(saved(header=np.array([Trap()], dtype=object)))
    with pytest.raises(DamagedArtefact):
        load(pickle.dumps(Trap()))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x05\x06" + bytes(18),
        saved(header=np.frombuffer(b"not json", dtype=np.uint8)),
        saved(header=np.frombuffer(b'{"format": 99}', dtype=np.uint8)),
        saved(header=np.frombuffer(b"[1]", dtype=np.uint8)),
        saved(weights=np.zeros(3)),
        artefact.pack(HEADER, ARRAYS)[:-30],
    ],
)
def test_foreign_bytes_are_refused(data: bytes) -> None:
    """Empty, cut, foreign and headless data all raise the same error."""
    with pytest.raises(DamagedArtefact):
        artefact.unpack(data)


@given(place=st.integers(0, 10**6), value=st.integers(1, 255))
def test_a_changed_byte_is_noticed_or_harmless(place: int, value: int) -> None:
    """One flipped byte either changes nothing that is read or raises DamagedArtefact, nothing else."""
    data = bytearray(artefact.pack(HEADER, ARRAYS))
    data[place % len(data)] ^= value
    try:
        header, arrays = artefact.unpack(bytes(data))
    except DamagedArtefact:
        return
    assert header["labels"] == HEADER["labels"]
    assert all(np.array_equal(arrays.get(name, ARRAYS[name]), ARRAYS[name]) for name in ARRAYS)


@pytest.mark.parametrize("missing", ["weights", "bits", "offsets", "idf"])
def test_a_model_lacking_a_part_is_refused(missing: str) -> None:
    """A well-formed container that is not a whole model is refused."""
    header, arrays = artefact.unpack(train(reviewed(20), family="english").artefact)
    with pytest.raises(DamagedArtefact, match="lacks a part"):
        load(artefact.pack(header, {name: arrays[name] for name in arrays if name != missing}))


def test_parts_that_do_not_fit_are_refused() -> None:
    """Shapes, types and names that contradict one another are refused."""
    header, arrays = artefact.unpack(train(reviewed(20), family="english").artefact)
    wrong = [
        (header, {**arrays, "idf": arrays["idf"][1:]}),
        (header, {**arrays, "weights": arrays["weights"].astype(np.float64)}),
        ({**header, "labels": ["only one"]}, arrays),
        ({**header, "terms": "text"}, arrays),
        ({**header, "characters": None}, arrays),
    ]
    for changed_header, changed_arrays in wrong:
        with pytest.raises(DamagedArtefact):
            load(artefact.pack(changed_header, changed_arrays))
