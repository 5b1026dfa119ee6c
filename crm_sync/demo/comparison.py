"""What every comparison of Chatwoot with a CRM shares: what a CRM should show, and what is said where it does not."""

from __future__ import annotations

import html
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

#: Chatwoot's numbers for messages that people write; activities and templates are not mirrored.
_WRITTEN = frozenset({0, 1})
_INCOMING = 0
#: Attachments that are no files.
_NO_FILES = frozenset({"location", "contact"})
#: Marks the messages that crm_sync writes itself.
_OWN = "crm_sync"

_BREAK = re.compile(r"<br\s*/?>|</(?:p|li|ul|div)>", re.IGNORECASE)
_TAG = re.compile(r"<[^>]*>")
#: The marks of markdown that the agents of the sandbox's day use.
_MARKS = re.compile(r"\*\*|^\d+\. ", re.MULTILINE)

#: Rows by their table.
Dump = Mapping[str, Any]
Row = Mapping[str, Any]
Kind = Literal["lost", "duplicate", "out_of_order"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is not as it should be."""

    kind: Kind
    words: str


class Comparison(ABC):
    """Collects what is right in a CRM and what is not. ``matched`` counts the records that are right, by their kind.

    ``files`` says whether attachments are to be there as files.
    """

    #: What people call the CRM.
    crm: ClassVar[str]
    #: What is counted as right, and how people read it.
    kinds: ClassVar[Mapping[str, str]]

    def __init__(self, _dump: Dump, account_id: int, *, files: bool = False) -> None:
        self.account_id = account_id
        self.files = files
        self.problems: list[Problem] = []
        self.matched: Counter[str] = Counter()

    @abstractmethod
    def contact(self, contact: Row) -> None:
        """What became of a contact."""

    @abstractmethod
    def conversation(self, conversation: Row) -> None:
        """What became of a conversation and its messages."""

    @abstractmethod
    def strangers(self, conversations: Iterable[int]) -> None:
        """Nothing of ours is in the CRM that is not in one of these conversations of Chatwoot."""

    def found(self, kind: Kind, words: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(kind, words))

    def number(self, what: str, kind: str, there: int, *, wanted: int) -> None:
        """Something has so many counterparts of a kind, and was to have so many."""
        if there == wanted:
            self.matched[kind] += wanted
        elif there < wanted:
            self.found("lost", f"{what} has no counterpart in {self.crm} ({kind})")
        else:
            for _ in range(there - wanted):
                self.found("duplicate", f"{what} has {there} {kind} in {self.crm} instead of {wanted}")

    def shows(self, what: str, record: Row, key: str, wanted: set[int]) -> None:
        """The record in Chatwoot names its counterpart."""
        shown = (record.get("custom_attributes") or {}).get(key)
        if wanted and shown not in wanted:
            self.found("lost", f"{what} does not show its {key} in Chatwoot")

    def order(self, conversation: int, messages: Iterable[int]) -> None:
        """The messages of a conversation, as the CRM shows them from top to bottom."""
        highest = 0
        for message in messages:
            if message < highest:
                words = f"message {message} of conversation {conversation} is shown after {highest}"
                self.found("out_of_order", f"{words} in {self.crm}")
            highest = max(highest, message)


def identifiable(contact: Row) -> bool:
    """Whether a contact can be told from others."""
    return bool(contact.get("email") or contact.get("phone_number"))


def written(conversation: Row) -> list[Row]:
    """The messages of a conversation that a CRM should show, oldest first."""
    found = [message for message in conversation["messages"] if _is_written(message)]
    return sorted(found, key=lambda message: int(message["id"]))


def attached(message: Row) -> list[int]:
    """The attachments of a message that are files, by their ids; places and cards are none."""
    return [
        int(item["id"])
        for item in message.get("attachments") or ()
        if item.get("data_url") and item.get("file_type") not in _NO_FILES
    ]


def visible(content: str) -> str:
    """What a reader sees of an HTML content, its white space made one."""
    return plain(html.unescape(_TAG.sub("", _BREAK.sub(" ", content))))


def said(message: Row) -> str:
    """What a reader is to see of a message: an agent's text is markdown, of which the marks are not seen."""
    text = message["content"] or ""
    return plain(text if message["message_type"] == _INCOMING else _MARKS.sub("", text))


def plain(text: str) -> str:
    """A text, its white space made one."""
    return " ".join(text.split())


def _is_written(message: Row) -> bool:
    attributes = message.get("content_attributes") or {}
    return (
        message["message_type"] in _WRITTEN
        and bool(message.get("content") or message.get("attachments"))
        and not attributes.get("deleted")
        and not attributes.get(_OWN)
    )
