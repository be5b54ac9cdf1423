"""Ids of messages that the centre makes itself, of its archives: no sender may use such."""

FROM_ARCHIVE = "archive/"


def is_of_archive(identifier: str) -> bool:
    """Whether a message was made by `apeldb archive`. Blanks around ids don't count."""
    return identifier.strip().startswith(FROM_ARCHIVE)


def of_sender(identifier: str) -> str:
    """The id by which a message is known that a sender calls so: never one of an archive."""
    return "sender/" + identifier.strip() if is_of_archive(identifier) else identifier
