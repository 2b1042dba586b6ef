"""Positions: opaque text that only the dataset and the log it was made for understand."""

import base64
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import Invalid
from headrace.core.positions import START, Position, from_token, to_token

places = st.builds(Position, st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
epochs = st.integers(0, 2**32 - 1)
owners = st.integers(1, 2**63 - 1)


@given(position=places, epoch=epochs, owner=owners)
def test_token_comes_back_as_its_position(position: Position, epoch: int, owner: int) -> None:
    """Whatever the position, its token is read back exactly, and is URL-safe text of one length."""
    token = to_token(position, epoch=epoch, owner=owner)
    assert from_token(token, epoch=epoch, owner=owner) == position
    assert len(token) == 38
    assert token.replace("-", "").replace("_", "").isalnum()


@given(position=places, epoch=epochs, owner=owners, other=owners)
def test_foreign_token_is_refused(position: Position, epoch: int, owner: int, other: int) -> None:
    """A token of another dataset, or of a log that was restored from elsewhere, means nothing here."""
    token = to_token(position, epoch=epoch, owner=owner)
    with pytest.raises(Invalid, match="another"):
        from_token(token, epoch=(epoch + 1) % 2**32, owner=owner)
    if other != owner:
        with pytest.raises(Invalid, match="another"):
            from_token(token, epoch=epoch, owner=other)


@given(token=st.text() | st.text("ABCabc019-_=", max_size=60))
def test_garbage_is_refused(token: str) -> None:
    """No text that was not given out is taken for a position; the error names the field."""
    with pytest.raises(Invalid, match="cursor"):
        from_token(token, epoch=1, owner=1, field="cursor")


@given(x=st.integers(2**63, 2**64 - 1), n=st.integers(0, 2**64 - 1))
def test_numbers_beyond_the_database_are_refused(x: int, n: int) -> None:
    """A forged token with numbers that no database column holds is refused like any other garbage."""
    packed = (1).to_bytes(4) + (1).to_bytes(8) + x.to_bytes(8) + n.to_bytes(8)
    with pytest.raises(Invalid):
        from_token(base64.urlsafe_b64encode(packed).decode(), epoch=1, owner=1)


@given(found=st.lists(places, min_size=2))
def test_positions_compare_by_transaction_then_number(found: list[Position]) -> None:
    """Positions order by transaction first; nothing lies before the start."""
    ordered = sorted(found)
    assert all((one.x, one.n) <= (two.x, two.n) for one, two in pairwise(ordered))
    assert ordered[0] >= START
