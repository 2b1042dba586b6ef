"""Transform tags: which way of turning a mail into a comment a client asks for, as in `generic.0.CONVKER5`."""

import re

from headrace.core.errors import Unacceptable

KNOWN = frozenset({"generic"})
_TAG = re.compile(r"([a-z0-9-]{1,64})\.[0-9]{1,6}\.[A-Z0-9]{8}", re.ASCII)


def check_tag(tag: str) -> str:
    """The tag, of the form `<name>.<number>.<8 letters or digits>` with a known name; raises Unacceptable."""
    found = _TAG.fullmatch(tag)
    if found is None or found[1] not in KNOWN:
        raise Unacceptable(f"The value '{tag[:80]}' is not a valid transform tag.", fields={"transform_tag": tag[:80]})
    return tag
