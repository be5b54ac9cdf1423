"""Messages as they come from the queue: read, opened, and small ones put together to be stored as one."""

from typing import Callable, Dict, Iterable, Iterator, List, Mapping, NamedTuple, Tuple, Union

from apel.errors import RecordError, shown
from apel.messages import Message, decode
from apel.server.verdicts import Verdict, refusal
from apelcommon.errors import Transient
from apelcommon.ids import is_of_archive

NO_ID = "noid"
UNKNOWN = "unknown type"
#: So large may a message be that is stored with others: some 150 jobs. Usual messages have a thousand.
SMALL_CHARACTERS = 100000
#: So much is stored at once: a write set of a cluster is a few MB, and other loaders want messages, too.
MOST_CHARACTERS, MOST_RECORDS, MOST_MESSAGES = 1000000, 2000, 50


class Delivery(NamedTuple):
    """One message as it was received: its element's name in the queue, and what is in it."""

    name: str
    body: str
    signer: str
    empaid: str

    @property
    def is_archived(self) -> bool:
        """Whether it holds what was here before anything that is here now. No receiver gives such ids."""
        return is_of_archive(self.empaid)

    @property
    def conflict(self) -> str:
        """What becomes of a record that is here: the one that came later counts, and no archive did."""
        return "ignore" if self.is_archived else "update"

    def element(self) -> Dict[str, str]:
        """As another queue takes it."""
        return {"body": self.body, "signer": self.signer, "empaid": self.empaid}

    def known(self) -> Tuple[str, str, str]:
        """What the log says of any message: its name in the queue, its id, its signer."""
        return self.name, shown(self.empaid), shown(self.signer, 255) or "nobody"


class Opened(NamedTuple):
    """A delivery and what is in it: a message, or the verdict on it if that is known already."""

    delivery: Delivery
    content: Union[Message, Verdict]


def read(name: str, element: Mapping[str, str]) -> Delivery:
    """An element of the queue `incoming`, whatever it lacks."""
    return Delivery(
        name,
        element.get("body", ""),
        element.get("signer", "").strip(),
        element.get("empaid", "").strip() or NO_ID,
    )


def opened(delivery: Delivery) -> Opened:
    """A delivery with the message in it; refused if there is none."""
    if not delivery.signer:
        return Opened(delivery, refusal(UNKNOWN, delivery.body, "The message has no signer."))
    try:
        return Opened(delivery, decode(delivery.body))
    except RecordError as err:
        return Opened(delivery, refusal(UNKNOWN, delivery.body, str(err)))


class Group:
    """Messages that are stored together, as many as there is room for."""

    def __init__(self) -> None:
        self.messages: List[Opened] = []
        self.characters = self.records = 0

    def add(self, message: Opened) -> None:
        """Take one more."""
        self.messages.append(message)
        self.characters += len(message.delivery.body)
        self.records += _records(message)

    def has_room_for(self, message: Opened) -> bool:
        """Whether one more can be stored with them."""
        return (
            len(self.messages) < MOST_MESSAGES
            and self.characters + len(message.delivery.body) <= MOST_CHARACTERS
            and self.records + _records(message) <= MOST_RECORDS
        )


def _records(message: Opened) -> int:
    return len(message.content.records) if isinstance(message.content, Message) else 0


def grouped(messages: Iterable[Opened], alone: Callable[[Opened], bool]) -> Iterator[List[Opened]]:
    """Messages in their order: small ones that follow each other together, the others by themselves.

    alone: whether a message must not be stored with others. None waits for more to come. When the next one
    can't be had (Transient), those before it are given first.
    """
    group = Group()
    try:
        for message in messages:
            by_itself = len(message.delivery.body) > SMALL_CHARACTERS or alone(message)
            if group.messages and (by_itself or not group.has_room_for(message)):
                yield group.messages
                group = Group()
            if by_itself:
                yield [message]
            else:
                group.add(message)
    except Transient as err:
        if group.messages:
            yield group.messages
        raise err
    if group.messages:
        yield group.messages
