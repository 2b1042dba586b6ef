"""Raw e-mails as comments."""

import asyncio
from collections.abc import Sequence

from starlette.responses import Response

from headrace.core import emails
from headrace.core.emails import RawEmail
from headrace.core.errors import Invalid, TooLarge
from headrace.core.records import NewRecord
from headrace.core.store import Tx
from headrace.dialects.communications_mining import wire
from headrace.dialects.communications_mining.boundary import dialect, ok, paths, ref
from headrace.dialects.communications_mining.translate import check_properties, comment_raw
from headrace.dialects.kit import Call

PUBLIC = "/api/v1/sources"
PRIVATE = "/api/_private/sources"


def raw_email(mail: wire.RawEmail, document: wire.RawDocument) -> RawEmail:
    """A mail of a request; raises Invalid for headers that are missing or given twice."""
    headers = mail.headers.raw if mail.headers.raw is not None else mail.headers.parsed
    if headers is None or None not in (mail.headers.raw, mail.headers.parsed):
        raise Invalid("headers: must hold either raw or parsed", fields={"headers": ""})
    check_properties(document.user_properties)
    described = [
        {name: value for name in item.__struct_fields__ if (value := getattr(item, name)) is not None}
        for item in mail.attachments or ()
    ]
    return RawEmail(
        headers=headers,
        plain=mail.body.plain,
        html=mail.body.html,
        attachments=described,
        properties=document.user_properties or {},
        comment_id=document.comment_id,
    )


def new_records(documents: Sequence[wire.RawDocument]) -> list[NewRecord]:
    """The comments of the mails; raises Invalid naming the document and the field."""
    found = []
    for index, document in enumerate(documents):
        try:
            found.append(emails.to_record(raw_email(document.raw_email, document)))
        except Invalid as error:
            path = f"documents[{index}].raw_email"
            raise Invalid(f"{path}.{error.message}", fields={"path": path, **error.fields}) from error
    return found


@dialect.route("POST", *paths(PUBLIC, "source", "/sync-raw-emails"), *paths(PRIVATE, "source", "/sync-raw-emails"))
async def sync_raw_emails(call: Call) -> Response:
    """Turn mails into comments and insert or update them; the comments come back when they are asked for."""
    body, wanted = await call.json(wire.RawEmailsBody), ref(call, "source")
    if len(body.documents) > emails.MAX_DOCUMENTS:
        raise TooLarge(f"documents holds more than {emails.MAX_DOCUMENTS} items", fields={"documents": ""})
    rows = await asyncio.to_thread(new_records, body.documents)

    def sync(tx: Tx) -> dict[str, object]:
        counts, source, found = emails.sync(tx, call.who, wanted, rows, body.transform_tag)
        keys = {source.id: source.text_keys}
        shown = [comment_raw(record, keys) for record in found] if body.include_comments else []
        return {**counts._asdict(), "comments": shown}

    return ok(**await call.write(sync))
