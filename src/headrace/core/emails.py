"""Mail: from the headers and the body of an e-mail to the comment that stands for it.

Mail comes from anybody, so everything here takes time in proportion to its input and never fails on odd bytes: a
header that cannot be understood is left out. The block of headers is split by the standard library; encoded words,
addresses and HTML are read here, because the library's own readers take quadratic time, recurse without bound or
raise on hostile text.
"""

import binascii
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from email.parser import HeaderParser
from email.policy import compat32
from email.utils import parsedate_tz
from typing import TYPE_CHECKING

from headrace.core import records, sources, transforms
from headrace.core.content import Kind
from headrace.core.errors import Invalid
from headrace.core.markup import html_text
from headrace.core.records import NewRecord, Record, SyncCounts
from headrace.core.rights import Permission, Principal
from headrace.core.sources import Ref, Source
from headrace.core.times import format_timestamp, parse_timestamp

if TYPE_CHECKING:
    from headrace.core.store import Tx

MAX_DOCUMENTS = 4096
MAX_HEADERS = 256 * 1024
MAX_BODY = 1024 * 1024
MAX_TEXT = 65_536
MAX_ADDRESS = 512
MAX_ADDRESSES = 2048
MAX_DATE = 100
SIGNATURE = "\n-- \n"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FOLD = re.compile(r"[\r\n]++[ \t]*+")
_BETWEEN_WORDS = re.compile(r"(\?=)\s++(?==\?)")
_WORD = re.compile(r"=\?([A-Za-z0-9_:.*-]{1,60})\?([bBqQ])\?([^?\s]{0,4096})\?=")
_CHARSET = re.compile(
    r"utf-?8|us-ascii|latin|iso-?8859|iso-2022|windows-|cp\d|koi8|gb|big5|shift|sjis|euc|ks_c|mac", re.I
)
_QUOTED = re.compile(r'"[^"]*+"')
_COMMENT = re.compile(r"\([^()]*+\)")
_ANGLE = re.compile(r"<([^<>]*+)>")

Properties = Mapping[str, str | int | float]
Headers = Mapping[str, Sequence[str]]
"""The values of each header, by its name in lower case, as they were sent."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RawEmail:
    """A mail as it was sent: headers as one block or by name, the body as plain text or as HTML.

    `attachments` are described as in a comment; the properties and the id are the uploader's own.
    """

    headers: str | Mapping[str, str | Sequence[str]]
    plain: str | None = None
    html: str | None = None
    attachments: Sequence[Mapping[str, object]] = ()
    properties: Properties = field(default_factory=dict)
    comment_id: str | None = None


def sync(
    tx: "Tx", who: Principal, ref: Ref, rows: Sequence[NewRecord], tag: str | None
) -> tuple[SyncCounts, Source, list[Record]]:
    """Insert or update the records of mails; answers what was done, and the records as the caller may see them.

    Raises Unacceptable for an unknown transform tag.
    """
    if tag is not None:
        transforms.check_tag(tag)
    counts = records.sync(tx, who, ref, rows)
    source = sources.load(tx, who, ref, Permission.EDIT_MESSAGES)
    found = records.by_keys(tx, source.id, [str(row.external_id) for row in rows])
    ordered = [found[key] for key in dict.fromkeys(str(row.external_id) for row in rows)]
    return counts, source, records.shown(tx, who, ordered)


def to_record(mail: RawEmail) -> NewRecord:
    """The comment of a mail. Its id is the uploader's, else a hash of the Message-ID, else one of the whole mail.

    Raises Invalid, naming the field, when a part is too long, the body is missing or given twice, or no header tells
    when the mail was sent.
    """
    headers = parse_headers(mail.headers)
    text, cut = body_text(mail)
    sent_at = sent(headers)
    message = _message(headers, text, sent_at)
    identity = _identity(headers, message)
    thread = _thread(headers)
    facts = _facts(headers, message, thread, cut)
    comment: dict[str, object] = {
        "id": mail.comment_id or _digest(identity),
        "timestamp": format_timestamp(sent_at),
        "messages": [message],
        "text_format": "plain",
        "user_properties": {**facts, **mail.properties},
        "thread_id": _digest(thread[0] if thread else identity),
    }
    if mail.attachments:
        comment["attachments"] = list(mail.attachments)
    body = json.dumps(comment, ensure_ascii=False, separators=(",", ":"))
    return NewRecord(str(comment["id"]), Kind.COMMENT, body, None, sent_at)


def parse_headers(given: str | Mapping[str, str | Sequence[str]]) -> Headers:
    """The values of each header by name; what follows the block of headers is not looked at."""
    size = len(given) if isinstance(given, str) else sum(len(name) + sum(map(len, _all(given[name]))) for name in given)
    if size > MAX_HEADERS:
        raise Invalid(f"headers: longer than {MAX_HEADERS} characters", fields={"headers": size})
    if isinstance(given, str):
        parsed = HeaderParser(policy=compat32).parsestr(given.lstrip("\r\n"), headersonly=True)
        pairs = [(name, str(value)) for name, value in parsed.items()]
    else:
        pairs = [(name, value) for name in given for value in _all(given[name])]
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        found.setdefault(name.strip().lower(), []).append(value)
    return found


def body_text(mail: RawEmail) -> tuple[str, bool]:
    """The mail's text, and whether it had to be cut to the 65,536 characters a comment may hold."""
    if (mail.plain is None) == (mail.html is None):
        raise Invalid("body: must hold either plain or html", fields={"body": ""})
    name, given = ("plain", mail.plain) if mail.plain is not None else ("html", mail.html or "")
    if len(given) > MAX_BODY:
        raise Invalid(f"body.{name}: longer than {MAX_BODY} characters", fields={f"body.{name}": len(given)})
    text = clean(given.replace("\r\n", "\n") if name == "plain" else html_text(given))
    return text[:MAX_TEXT], len(text) > MAX_TEXT


def sent(headers: Headers) -> int:
    """When the mail was sent, in microseconds: its Date, else when it was last received; raises Invalid."""
    received = [value.rpartition(";")[2] for value in headers.get("received", ())]
    for text in (*headers.get("date", ()), *received):
        moment = _moment(text.strip()[:MAX_DATE])
        if moment is not None:
            return moment
    raise Invalid("headers: neither Date nor Received tells when the mail was sent", fields={"headers": "Date"})


def decoded(value: str) -> str:
    """A header's text: folds undone, encoded words read, and nothing in it that cannot be stored."""
    unfolded = _FOLD.sub(" ", value)
    return clean(_WORD.sub(_word, _BETWEEN_WORDS.sub(r"\1", unfolded))).strip()


def addresses(values: Sequence[str]) -> list[str]:
    """The bare addresses of a header's values in order, each once; names, comments and groups are left out."""
    found: dict[str, None] = {}
    for value in values:
        bare = _QUOTED.sub(" ", value.replace("\n", " ").replace("\r", " "))
        for _ in range(3):
            bare = _COMMENT.sub(" ", bare)
        for piece in re.split("[,;]", bare):
            angle = _ANGLE.search(piece)
            text = angle[1] if angle else piece.rpartition(":")[2]
            address = clean("".join(text.split()))
            if "@" in address and len(address) <= MAX_ADDRESS:
                found[address] = None
            if len(found) >= MAX_ADDRESSES:
                return list(found)
    return list(found)


def clean(text: str) -> str:
    """The text with a replacement character for what no database stores: NUL and halves of surrogate pairs."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")


def _all(value: str | Sequence[str]) -> Sequence[str]:
    return (value,) if isinstance(value, str) else value


def _message(headers: Headers, text: str, sent_at: int) -> dict[str, object]:
    body, mark, signature = text.rpartition(SIGNATURE)
    message: dict[str, object] = {"body": {"text": body if mark else text}}
    if mark:
        message["signature"] = {"text": signature}
    if "subject" in headers:
        message["subject"] = {"text": decoded(headers["subject"][0])[:MAX_TEXT]}
    senders = addresses(headers.get("from", ())) or addresses(headers.get("sender", ()))
    if senders:
        message["from"] = senders[0]
    for role in ("to", "cc", "bcc"):
        if named := addresses(headers.get(role, ())):
            message[role] = named
    message["sent_at"] = format_timestamp(sent_at)
    return message


def _facts(
    headers: Headers, message: Mapping[str, object], thread: Sequence[str], cut: bool
) -> dict[str, str | int | float]:
    """The user properties that a mail brings itself; text that was cut says so."""
    sender = str(message.get("from", ""))
    recipients = {address for role in ("to", "cc", "bcc") for address in _named(message, role)}
    facts: dict[str, str | int | float] = {
        "string:Message ID": next(iter(_ids(headers, "message-id")), ""),
        "string:Sender": sender,
        "string:Sender Domain": sender.rpartition("@")[2],
        "string:Thread": thread[0] if thread else "",
        "string:Has Signature": "Yes" if "signature" in message else "No",
        "string:Text Was Cut": "Yes" if cut else "",
        "number:Recipients": len(recipients),
        "number:Participants": len(recipients | {sender} if sender else recipients),
        "number:Position in Thread": len(_ids(headers, "references")) + 1,
    }
    return {name: value for name, value in facts.items() if value != ""}


def _named(message: Mapping[str, object], role: str) -> list[str]:
    value = message.get(role)
    return value if isinstance(value, list) else []


def _thread(headers: Headers) -> list[str]:
    """The ids of the mails this one belongs to, the first one first; its own comes last."""
    return [*_ids(headers, "references"), *_ids(headers, "in-reply-to"), *_ids(headers, "message-id")]


def _ids(headers: Headers, name: str) -> list[str]:
    """The message ids in a header, without their angle brackets."""
    words = " ".join(headers.get(name, ())).replace("<", " ").replace(">", " ").split()
    return [clean(word)[:1024] for word in words]


def _identity(headers: Headers, message: Mapping[str, object]) -> str:
    """What makes a mail the same mail: its Message-ID, or all that is known of it."""
    return next(iter(_ids(headers, "message-id")), "") or json.dumps(message, sort_keys=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _moment(text: str) -> int | None:
    """Microseconds of a mail's date, or of an ISO 8601 one; None for anything else."""
    if re.match(r"\d{4}-", text):
        try:
            return parse_timestamp(text)
        except Invalid:
            return None
    try:
        parts = parsedate_tz(text)
        if parts is None:
            return None
        zone = timezone(timedelta(seconds=parts[9] or 0))
        since = datetime(*parts[:6], tzinfo=zone) - _EPOCH
    except (ValueError, OverflowError, TypeError, IndexError):
        return None
    return (since.days * 86_400 + since.seconds) * 1_000_000


def _word(found: re.Match[str]) -> str:
    """An encoded word as text; as it stands when its bytes cannot be read."""
    charset, encoding, text = found[1].partition("*")[0], found[2].lower(), found[3]
    if not text.isascii():
        return found[0]
    try:
        data = binascii.a2b_base64(text + "===") if encoding == "b" else binascii.a2b_qp(text, header=True)
    except binascii.Error:
        return found[0]
    if not _CHARSET.match(charset):
        return data.decode("utf-8", "replace")
    try:
        return data.decode(charset, "replace")
    except (LookupError, ValueError):
        return data.decode("utf-8", "replace")
