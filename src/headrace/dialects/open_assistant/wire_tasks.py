"""The tasks that people are given, as the dialect shows them.

Some kinds are never given; they are declared because clients make their own models from the published description.
"""

from typing import Annotated, Literal

from pydantic import Field

from headrace.core.text_labels import Mode
from headrace.dialects.open_assistant.wire import (
    Conversation,
    ConversationMessage,
    Id,
    LabelDescription,
    Shown,
    TaskDone,
)


class Task(Shown):
    """What every task has."""

    id: Id


class InitialPromptTask(Task):
    """Write a first prompt."""

    type: Literal["initial_prompt"] = "initial_prompt"
    hint: str | None


class ReplyToConversationTask(Task):
    """Write a reply."""

    type: Literal["reply_to_conversation"] = "reply_to_conversation"
    conversation: Conversation


class AssistantReplyTask(Task):
    """Write the assistant's reply."""

    type: Literal["assistant_reply"] = "assistant_reply"
    conversation: Conversation


class PrompterReplyTask(Task):
    """Write the prompter's reply."""

    type: Literal["prompter_reply"] = "prompter_reply"
    conversation: Conversation
    hint: str | None


class LabelTask(Task):
    """Label a message: the last of the conversation."""

    message_id: Id
    valid_labels: list[str]
    mandatory_labels: list[str]
    mode: Mode
    disposition: Literal["quality", "spam"]
    labels: list[LabelDescription]
    conversation: Conversation


class LabelInitialPromptTask(LabelTask):
    """Label a first prompt."""

    type: Literal["label_initial_prompt"] = "label_initial_prompt"
    prompt: str


class LabelConversationReplyTask(LabelTask):
    """Label a reply."""

    type: Literal["label_conversation_reply"] = "label_conversation_reply"
    reply: str


class LabelAssistantReplyTask(LabelTask):
    """Label a reply of the assistant."""

    type: Literal["label_assistant_reply"] = "label_assistant_reply"
    reply: str


class LabelPrompterReplyTask(LabelTask):
    """Label a reply of the prompter."""

    type: Literal["label_prompter_reply"] = "label_prompter_reply"
    reply: str


class RankRepliesTask(Task):
    """Rank the replies to the last message of a conversation."""

    conversation: Conversation
    replies: list[str]
    reply_messages: list[ConversationMessage]
    message_tree_id: Id
    ranking_parent_id: Id
    reveal_synthetic: bool


class RankConversationRepliesTask(RankRepliesTask):
    """Rank replies."""

    type: Literal["rank_conversation_replies"] = "rank_conversation_replies"


class RankAssistantRepliesTask(RankRepliesTask):
    """Rank replies of the assistant."""

    type: Literal["rank_assistant_replies"] = "rank_assistant_replies"


class RankPrompterRepliesTask(RankRepliesTask):
    """Rank replies of the prompter."""

    type: Literal["rank_prompter_replies"] = "rank_prompter_replies"


class RankInitialPromptsTask(Task):
    """Rank first prompts; never given."""

    type: Literal["rank_initial_prompts"] = "rank_initial_prompts"
    prompts: list[str]
    prompt_messages: list[ConversationMessage]


class SummarizeStoryTask(Task):
    """Summarise a story; never given."""

    type: Literal["summarize_story"] = "summarize_story"
    story: str


class RatingScale(Shown):
    """The numbers that may be given."""

    min: int = 1
    max: int = 5


class RateSummaryTask(Task):
    """Rate a summary; never given."""

    type: Literal["rate_summary"] = "rate_summary"
    scale: RatingScale
    full_text: str
    summary: str


AnyTask = Annotated[
    InitialPromptTask
    | PrompterReplyTask
    | AssistantReplyTask
    | LabelInitialPromptTask
    | LabelAssistantReplyTask
    | LabelPrompterReplyTask
    | RankAssistantRepliesTask
    | RankPrompterRepliesTask
    | RankInitialPromptsTask
    | ReplyToConversationTask
    | LabelConversationReplyTask
    | RankConversationRepliesTask
    | SummarizeStoryTask
    | RateSummaryTask
    | TaskDone,
    Field(discriminator="type"),
]
