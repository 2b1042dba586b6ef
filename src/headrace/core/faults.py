"""What the conversation engine refuses, by name. A dialect maps the name in `fields["fault"]` to its own number.

A fault is one of the domain's errors, so that a dialect that does not know the names still answers sensibly.
"""

from enum import StrEnum

from headrace.core.errors import Conflict, Forbidden, HeadraceError, Invalid, NotFound, Unavailable


class Fault(StrEnum):
    """Why a request was refused; the values are stable."""

    CLIENT_NOT_AUTHORISED = "client_not_authorised"
    TASK_NOT_AVAILABLE = "task_not_available"
    MESSAGE_TOO_LONG = "message_too_long"
    MESSAGE_DUPLICATE = "message_duplicate"
    MESSAGE_EMPTY = "message_empty"
    REPLY_DUPLICATE = "reply_duplicate"
    TOO_MANY_PENDING = "too_many_pending"
    INVALID_FRONTEND_ID = "invalid_frontend_id"
    MESSAGE_NOT_FOUND = "message_not_found"
    INVALID_RANKING = "invalid_ranking"
    TREE_NOT_ACCEPTING = "tree_not_accepting"
    USERNAME_REQUIRED = "username_required"
    LABELS_WRONG_MESSAGE = "labels_wrong_message"
    LABELS_INVALID = "labels_invalid"
    LABELS_MANDATORY_MISSING = "labels_mandatory_missing"
    LABELS_REPEATED = "labels_repeated"
    TASK_NOT_FOUND = "task_not_found"
    TASK_EXPIRED = "task_expired"
    TASK_PAYLOAD_MISMATCH = "task_payload_mismatch"
    TASK_ALREADY_UPDATED = "task_already_updated"
    TASK_NOT_ACKNOWLEDGED = "task_not_acknowledged"
    TASK_ALREADY_DONE = "task_already_done"
    TASK_NOT_ASSIGNED = "task_not_assigned"
    TASK_NOT_COLLECTIVE = "task_not_collective"
    TASK_UNEXPECTED_PAYLOAD = "task_unexpected_payload"
    PERSON_NOT_GIVEN = "person_not_given"
    PERSON_DISABLED = "person_disabled"
    PERSON_NOT_FOUND = "person_not_found"
    TERMS_NOT_ACCEPTED = "terms_not_accepted"
    EMOJI_NOT_SUPPORTED = "emoji_not_supported"


_CLASSES: dict[Fault, type[HeadraceError]] = {
    Fault.CLIENT_NOT_AUTHORISED: Forbidden,
    Fault.PERSON_DISABLED: Forbidden,
    Fault.TERMS_NOT_ACCEPTED: Forbidden,
    Fault.TASK_NOT_AVAILABLE: Unavailable,
    Fault.MESSAGE_NOT_FOUND: NotFound,
    Fault.TASK_NOT_FOUND: NotFound,
    Fault.PERSON_NOT_FOUND: NotFound,
    Fault.TOO_MANY_PENDING: Conflict,
    Fault.TREE_NOT_ACCEPTING: Conflict,
    Fault.TASK_EXPIRED: Conflict,
    Fault.TASK_ALREADY_UPDATED: Conflict,
    Fault.TASK_ALREADY_DONE: Conflict,
}


def fault(name: Fault, message: str) -> HeadraceError:
    """The error to raise for a fault; its `fields["fault"]` is the name."""
    return _CLASSES.get(name, Invalid)(message, fields={"fault": name.value})


def fault_of(error: HeadraceError) -> Fault | None:
    """The fault that an error stands for, if it is one."""
    name = error.fields.get("fault")
    return Fault(name) if isinstance(name, str) and name in Fault.__members__.values() else None
