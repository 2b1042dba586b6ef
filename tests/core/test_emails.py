"""Mail to comments: what ordinary mail becomes, and that hostile mail neither fails nor takes long."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core import emails
from headrace.core.emails import RawEmail
from headrace.core.errors import Invalid
from headrace.core.markup import html_text
from headrace.core.times import parse_timestamp

DATE = "Thu, 09 Jan 2020 16:34:45 +0100"
SECONDS = 5.0
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
charsets = st.sampled_from(
    ["utf-8", "utf-7", "idna", "unicode_escape", "undefined", "hex", "cp037", "iso-2022-jp", "x"]
)
words = st.builds("=?{}?{}?{}?=".format, charsets, st.sampled_from("bBqQ"), st.text("=?_ABab09/+\\ud8é", max_size=12))
pieces = st.sampled_from([":", "\n", "\r", " ", "<", ">", "@", ",", ";", "(", ")", '"', "\\", "a", "=?", "?=", "Date"])
hostile = st.lists(texts | words | pieces, max_size=12).map("".join)


def comment_of(headers: Any, **more: Any) -> dict[str, Any]:
    """The comment that a mail becomes; a body and a date are added."""
    more.setdefault("plain", "hello")
    if isinstance(headers, str):
        headers = f"Date: {DATE}\r\n{headers}"
    return dict(json.loads(emails.to_record(RawEmail(headers=headers, **more)).body))


def test_a_mail_becomes_a_comment() -> None:
    """Addresses, subject, texts, times and the thread stand where a comment has them."""
    found = comment_of(
        'From: "Doe, Jane" <jane@example.org>\r\nTo: bob@example.org,\r\n Carol <carol@example.org>\r\n'
        "Cc: dan@example.org (Dan)\r\nBcc: eve@example.org\r\n"
        "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n =?utf-8?b?ISE=?=\r\n"
        "Message-ID: <3@x>\r\nIn-Reply-To: <2@x>\r\nReferences: <1@x>\r\n <2@x>\r\n",
        plain="Dear Bob,\r\nbye\n-- \nJane",
    )
    [message] = found["messages"]
    assert message == {
        "body": {"text": "Dear Bob,\nbye"},
        "signature": {"text": "Jane"},
        "subject": {"text": "Grüße!!"},
        "from": "jane@example.org",
        "to": ["bob@example.org", "carol@example.org"],
        "cc": ["dan@example.org"],
        "bcc": ["eve@example.org"],
        "sent_at": "2020-01-09T15:34:45.000000Z",
    }
    assert found["timestamp"] == message["sent_at"]
    assert found["user_properties"] == {
        "string:Message ID": "3@x",
        "string:Sender": "jane@example.org",
        "string:Sender Domain": "example.org",
        "string:Thread": "1@x",
        "string:Has Signature": "Yes",
        "number:Recipients": 4,
        "number:Participants": 5,
        "number:Position in Thread": 3,
    }


def test_parsed_and_raw_headers_say_the_same() -> None:
    """A header by name, in any case and with one or several values, is the header in a block."""
    parsed = {"date": DATE, "FROM": "a@b.org", "To": ["c@d.org", "e@f.org"], "Message-ID": "x@y", "References": "<r@y>"}
    block = "From: a@b.org\nTo: c@d.org\nTO: e@f.org\nmessage-id: <x@y>\nReferences: r@y\n\nignored: body"
    assert comment_of(parsed) == comment_of(block)


def test_the_id_follows_the_message() -> None:
    """The uploader's id wins, then the Message-ID, then all of the mail; a reply joins the thread of its root."""
    root, reply = comment_of("Message-ID: <1@x>"), comment_of("Message-ID: <2@x>\nReferences: <1@x>")
    assert root["id"] == comment_of("Message-ID: 1@x\nSubject: other")["id"] == reply["thread_id"] == root["thread_id"]
    assert reply["id"] != root["id"]
    assert comment_of("Message-ID: <1@x>", comment_id="mine")["id"] == "mine"
    assert comment_of("Subject: a")["id"] == comment_of("Subject: a")["id"] != comment_of("Subject: b")["id"]


def test_the_uploader_has_the_last_word_on_properties() -> None:
    """Properties given with the mail replace those that were found in it."""
    found = comment_of("From: a@b.org", properties={"string:Sender": "boss", "number:Mine": 1})["user_properties"]
    assert (found["string:Sender"], found["number:Mine"], found["string:Sender Domain"]) == ("boss", 1, "b.org")


@pytest.mark.parametrize(
    ("header", "moment"),
    [
        ("Date: Thu, 09 Jan 2020 16:34:45 +0000", "2020-01-09T16:34:45Z"),
        ("Date: 9 Jan 2020 16:34 -0130 (comment)", "2020-01-09T18:04:00Z"),
        ("Date: 2020-01-09T16:34:45.5+01:00", "2020-01-09T15:34:45.5Z"),
        ("Date: rubbish\nReceived: from a; b by c; Thu, 09 Jan 2020 16:34:45 GMT", "2020-01-09T16:34:45Z"),
    ],
)
def test_a_mail_is_sent_when_its_date_says(header: str, moment: str) -> None:
    """The Date counts, in mail's or in ISO's form, else the newest Received."""
    assert emails.sent(emails.parse_headers(header)) == parse_timestamp(moment)


@pytest.mark.parametrize(
    "date", ["", "9999999999", "Thu, 99 Jan 2020", "Mon, 1 Jan 10000 00:00:00", "0000-01-01", "x" * 999]
)
def test_a_mail_without_a_date_is_refused(date: str) -> None:
    """Nothing is invented: the error names the header."""
    with pytest.raises(Invalid, match="Date"):
        emails.to_record(RawEmail(headers={"Date": date}, plain=""))


def test_html_becomes_text() -> None:
    """Blocks become lines, entities characters; head, scripts, styles and comments vanish."""
    page = (
        "<html><head><title>t</title></head><body><p>Hello&nbsp;<b>Bob</b>,</p>\n<div>one<br>two</div><script>x<y</script>"
        '<style>p{}</style><a href="x>y">link</a> 1 < 2 &amp; &#51; &gt; 2<!-- secret --><td>a</td><td>b</td></body>'
    )
    assert html_text(page) == "Hello Bob,\n\none\ntwo\nlink 1 < 2 & 3 > 2 a b"
    assert comment_of("", plain=None, html=page)["messages"][0]["body"]["text"] == html_text(page)


@pytest.mark.parametrize(
    ("mail", "word"),
    [
        (RawEmail(headers="", plain="a", html="b"), "body"),
        (RawEmail(headers=""), "body"),
        (RawEmail(headers="", plain="x" * (emails.MAX_BODY + 1)), "body.plain"),
        (RawEmail(headers="", html="x" * (emails.MAX_BODY + 1)), "body.html"),
        (RawEmail(headers="x" * (emails.MAX_HEADERS + 1), plain=""), "headers"),
        (RawEmail(headers={"a": ["x" * emails.MAX_HEADERS]}, plain=""), "headers"),
    ],
)
def test_a_mail_beyond_its_limits_is_refused(mail: RawEmail, word: str) -> None:
    """The error names what is too long, missing or given twice."""
    with pytest.raises(Invalid, match=word):
        emails.to_record(mail)


def test_a_long_text_is_cut_and_says_so() -> None:
    """A comment's text ends at 65,536 characters; a property tells that there was more."""
    found = comment_of("", plain="x" * 70_000)
    assert len(found["messages"][0]["body"]["text"]) == 65_536
    assert found["user_properties"]["string:Text Was Cut"] == "Yes"
    assert "string:Text Was Cut" not in comment_of("", plain="x" * 65_536)["user_properties"]


@given(headers=hostile, body=hostile, parsed=st.dictionaries(hostile, hostile | st.lists(hostile), max_size=4))
def test_odd_mail_is_a_storable_comment(headers: str, body: str, parsed: dict[str, Any]) -> None:
    """Whatever a mail holds, it becomes JSON that both databases keep, with addresses within their limits."""
    for mail in (
        RawEmail(headers=f"Date: {DATE}\nSubject: {headers}\nFrom: {headers}\nTo: {headers}\n{headers}", plain=body),
        RawEmail(headers=parsed | {"Received": f"{body};{DATE}", "Subject": headers}, html=body),
    ):
        record = emails.to_record(mail)
        record.body.encode()
        assert "\\u0000" not in record.body
        assert "\0" not in record.body
        [message] = json.loads(record.body)["messages"]
        named = [address for role in ("to", "cc", "bcc") for address in message.get(role, [])]
        assert all(1 <= len(address) <= 512 for address in named)


@pytest.mark.parametrize("charset", ["unicode_escape", "utf-7", "idna", "undefined", "hex", "nonsense", "utf-16"])
def test_no_charset_makes_text_that_cannot_be_stored(charset: str) -> None:
    """Charsets that could bring NUL or half a surrogate pair, or raise, do not."""
    for word in (f"=?{charset}?q?=00=5Cud800=D8=00?=", f"=?{charset}?b?AADYAAAA2A==?=", f"=?{charset}?b?%%%?="):
        text = emails.decoded(word)
        assert "\0" not in text
        text.encode()


def repeated(pattern: str, size: int) -> str:
    """The pattern as often as fits into the size."""
    return pattern * (size // len(pattern))


HTML = [
    "<",
    "<!--",
    "</",
    "<a b='",
    "<a ",
    "<![",
    "&",
    "&#9",
    "&nbsp;",
    "<script",
    "<style ",
    "</head",
    "&#10; ",
    "<br>",
]
HEADER = ["(", "<", '"', "=?a?q?", "=?utf-8?q?a?= ", '\\"', "a:", "a@b,", "\n ", "?= =?", "\r"]
BLOCKS: list[Callable[[], object]] = [
    *(lambda pattern=pattern: html_text(repeated(pattern, emails.MAX_BODY)) for pattern in HTML),
    *(
        lambda pattern=pattern, name=name: comment_of(f"{name}: {repeated(pattern, emails.MAX_HEADERS // 2 - 200)}")
        for pattern in HEADER
        for name in ("From", "Subject", "References")
    ),
    lambda: emails.parse_headers(repeated("a: b\n", emails.MAX_HEADERS)),
    lambda: comment_of(
        "Content-Type: multipart/mixed; boundary=a\n\n" + "--a\nContent-Type: multipart/mixed\n\n" * 5000
    ),
    lambda: comment_of({"Date": DATE, **{f"{number}": "x" for number in range(10_000)}}),
    lambda: emails.html_text("&#" + "9" * 100_000 + ";"),
]


@pytest.mark.parametrize("hostile_block", BLOCKS, ids=range(len(BLOCKS)))
def test_hostile_mail_takes_little_time(hostile_block: Callable[[], object]) -> None:
    """Neither a megabyte of HTML nor a quarter of one in headers, however nested or unclosed, keeps the server busy."""
    started = time.process_time()
    hostile_block()
    assert time.process_time() - started < SECONDS
