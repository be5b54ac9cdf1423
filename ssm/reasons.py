"""Why a receiver rejects messages: how the reasons begin, which go with a message into the reject queue."""

EMPTY = "Empty text passed to _handle_msg."
NOT_DECRYPTED = "Failed to decrypt message: "
NOT_VERIFIED = "Failed to verify message: "
NOT_LISTED = "Signer not in valid DNs list: "
BANNED = "Signer is banned: "

REASONS = {
    EMPTY: "empty",
    NOT_DECRYPTED: "not decrypted",
    NOT_VERIFIED: "not verified",
    NOT_LISTED: "not listed",
    BANNED: "banned",
}


def reason_of(error: str) -> str:
    """The kind of a reason for rejection, in two words."""
    return next((kind for start, kind in REASONS.items() if error.startswith(start)), "other")


def worth_of(error: str) -> int:
    """What a message rejected for this is worth: 0 anybody's, 1 a known signer's, 2 a listed signer's.

    Of a listed signer is what was rejected by whoever loads messages.
    """
    kind = reason_of(error)
    return {"other": 2, "not listed": 1}.get(kind, 0)
