"""Generated customer mail: seeded, deterministic, made of phrases written for this purpose."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from headrace.app import admin_of
from headrace.core import annotations, label_config, label_results, tasks
from headrace.core.annotations import Assigned, Judgement
from headrace.core.content import Kind
from headrace.core.records import NewRecord
from headrace.core.store import Store, Tx

SEED = 20260
RECORDS = 240
ANNOTATED = 120
CHUNK = 500

TOPICS: dict[str, tuple[str, ...]] = {
    "Billing > Refund": (
        "Please refund the second charge on my card.",
        "I was billed twice and want my money back.",
        "The refund promised last week has not arrived.",
    ),
    "Billing > Invoice": (
        "Could you send me the invoice for last month?",
        "The invoice shows the wrong company address.",
        "Our accounting needs a corrected invoice with the tax number.",
    ),
    "Delivery > Late": (
        "My parcel should have been here on Monday.",
        "The tracking page has not moved for five days.",
        "When will the delayed order finally arrive?",
    ),
    "Delivery > Damaged": (
        "The box was crushed and the lamp inside is broken.",
        "One of the glasses arrived in pieces.",
        "The parcel came open and wet, the contents are damaged.",
    ),
    "Account > Password": (
        "I cannot log in, the password link does not work.",
        "Please reset my password, the mail never comes.",
        "My account is locked after three attempts.",
    ),
    "Account > Close": (
        "I would like to close my account and have my data deleted.",
        "Please cancel my membership at the end of the month.",
        "How do I delete my profile for good?",
    ),
    "Praise": (
        "Thank you, the support was quick and kind.",
        "Great service, I will order again.",
        "The new page is so much easier to use, well done.",
    ),
}
OPENINGS = ("Hello,", "Hi there,", "Good morning,", "Dear team,", "To whom it may concern,", "Hey,")
CONTEXT = (
    "The order number is {number}.",
    "I have been a customer since {year}.",
    "I wrote about this on {day} already.",
    "My colleague has seen the same.",
    "This is the second time this year.",
    "I am using the app on my phone.",
    "",
)
CLOSINGS = ("Regards", "Best wishes", "Thanks in advance", "Waiting for your answer", "")
CHANNELS = ("mail", "mail", "chat", "phone")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One text with the labels a careful person would give it, and properties to filter by."""

    text: str
    labels: tuple[str, ...]
    properties: dict[str, str | int | float] = field(default_factory=dict)


def generate(count: int, seed: int = SEED) -> list[Sample]:
    """So many samples, the same for the same seed; about one in six has two topics."""
    chance = random.Random(seed)
    return [_sample(chance) for _ in range(count)]


def _sample(chance: random.Random) -> Sample:
    names = chance.sample(list(TOPICS), 2 if chance.random() < 1 / 6 else 1)
    context = chance.choice(CONTEXT).format(
        number=chance.randint(10_000, 99_999),
        year=chance.randint(2009, 2025),
        day=chance.choice(("Monday", "Tuesday", "Thursday")),
    )
    sentences = [chance.choice(OPENINGS), *(chance.choice(TOPICS[name]) for name in names), context]
    return Sample(
        text=" ".join(part for part in (*sentences, chance.choice(CLOSINGS)) if part),
        labels=tuple(sorted(names)),
        properties={"channel": chance.choice(CHANNELS), "priority": chance.randint(1, 5)},
    )


def config_xml(labels: Sequence[str]) -> str:
    """A Label Studio config that offers these labels for a text."""
    choices = "".join(f"<Choice value={_quoted(label)}/>" for label in labels)
    return (
        '<View><Text name="text" value="$text"/>'
        f'<Choices name="topic" toName="text" choice="multiple">{choices}</Choices></View>'
    )


def fill(store: Store) -> str | None:
    """Give a server without any dataset a small project, half of it annotated; says what was made."""
    if store.read(lambda tx: tx.datasets.all(None)):
        return None
    samples = generate(RECORDS)
    store.write(lambda tx: _fill(tx, samples))
    return f"made a demo project of {RECORDS} generated mails, {ANNOTATED} of them annotated; its model trains now"


def _fill(tx: Tx, samples: Sequence[Sample]) -> None:
    who = admin_of(tx)
    xml = config_xml(sorted(TOPICS))
    config = label_config.parse(xml)
    dataset = tasks.create_project(tx, who, title="Customer mail (generated)", config_xml=xml)
    rows = [
        NewRecord(None, Kind.TASK, json.dumps({"text": item.text, **item.properties}), None, tx.now())
        for item in samples
    ]
    record_ids = tx.records.insert(dataset.source_ids[0], rows)
    judgements = [
        (
            record_id,
            who.user_id,
            Judgement(
                labels=annotations.expanded([Assigned(label) for label in item.labels]),
                result=json.dumps(label_results.result_of(config, item.labels)),
            ),
        )
        for record_id, item in zip(record_ids, samples[:ANNOTATED], strict=False)
    ]
    annotations.judge_many(tx, who, dataset, judgements)


def _quoted(text: str) -> str:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    return f'"{escaped}"'
