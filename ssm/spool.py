"""Looks into queues that others work on: what they hold, what is locked, what was put aside."""

import os
from typing import Any, Dict, List, NamedTuple, Optional

from ssm.elements import FOLDER, IDENTIFIER, fsync_directory, names_in, open_file
from ssm.errors import QueueError
from ssm.filequeues import FAILED, REASON, DirectoryQueue, FileQueue, OutgoingQueue, Queue
from ssm.queues import MessageQueue

#: What the queues of all programs may hold; nothing is required, so that damaged ones are shown as well.
ANY = {"body": "string?", "signer": "string?", "empaid": "string?", "error": "string?"}
QUEUES = ("outgoing", "incoming", "reject", "accept")


class Status(NamedTuple):
    """How a queue is; `oldest`: when its oldest message was made (epoch seconds)."""

    name: str
    path: str
    messages: int
    locked: int
    failed: int
    oldest: Optional[float]


def queues_at(path: str) -> Dict[str, Queue]:
    """The queue at `path`, or the queues below it, by name. Raises QueueError if there is none.

    Nothing is made or changed: a queue is told by what is in it.
    """
    if not os.path.isdir(path):
        raise QueueError("There is no directory %s." % path)
    below = {name: os.path.join(path, name) for name in QUEUES if os.path.isdir(os.path.join(path, name))}
    if not below:
        return {os.path.basename(os.path.abspath(path)): _queue(path)}
    return {name: _queue(where) for name, where in below.items()}


def one_queue(path: str) -> Queue:
    """The one queue at `path`. Raises QueueError if there are several below it, or none."""
    found = queues_at(path)
    if len(found) > 1 or os.path.basename(os.path.abspath(path)) not in found:
        raise QueueError("%s holds several queues (%s): name one of them." % (path, ", ".join(sorted(found))))
    return found[os.path.basename(os.path.abspath(path))]


def _queue(path: str) -> Queue:
    names = names_in(path)
    if "temporary" in names and "obsolete" in names:
        return MessageQueue(path, ANY)
    plain = any(os.path.isfile(os.path.join(path, name)) for name in names if not name.startswith("."))
    if plain and not any(FOLDER.match(name) for name in names):
        return DirectoryQueue(path)
    return OutgoingQueue(path)


def status(name: str, queue: Queue) -> Status:
    """How a queue is now."""
    messages = locked = 0
    oldest = None
    for element in queue.ids():
        if oldest is None:
            oldest = _made(queue, element)
        messages += 1
        locked += queue.is_locked(element)
    return Status(name, queue.path, messages, locked, len(put_aside(queue)), oldest)


def _made(queue: Queue, element: str) -> Optional[float]:
    try:
        return queue.made(element)
    except OSError:
        return None  # gone meanwhile


def unlock(queue: Queue, everything: bool) -> List[str]:
    """Free the locks of dead processes (or all locks); the ids of the messages that are free now."""
    before = [element for element in queue.ids() if queue.is_locked(element)]
    queue.purge()
    if everything:
        for element in before:
            queue.unlock(element)
    return [element for element in before if not queue.is_locked(element)]


def show(queue: Queue, element: str) -> Dict[str, str]:
    """The parts of a message: body, and signer, empaid, error where it has them. Raises QueueError."""
    named = element if not isinstance(queue, DirectoryQueue) else os.path.basename(element)
    if isinstance(queue, DirectoryQueue) != (not IDENTIFIER.match(named)):
        raise QueueError("%s is no id of a message in %s." % (element, queue.path))
    try:
        found: Any = queue.get(named)  # type: ignore[attr-defined]
    except OSError as err:
        raise QueueError("%s: no message %s (%s)." % (queue.path, element, err.strerror)) from err
    if found == {}:
        raise QueueError("%s: no message %s." % (queue.path, element))
    return found if isinstance(found, dict) else {"body": found}


def put_aside(queue: Queue) -> List[str]:
    """The names of the messages in `failed`."""
    names = names_in(os.path.join(queue.path, FAILED))
    return sorted(name for name in names if not name.startswith(".") and not name.endswith(REASON))


def requeue(queue: Queue, name: str) -> str:
    """Put a message of `failed` back into its queue; its new id. Raises QueueError, StorageError."""
    if not isinstance(queue, FileQueue):
        raise QueueError(
            "%s has no messages that were put aside. Rejected ones are put back by "
            "ssmreceive --replay-rejected (not verified or not listed) and apelreplay (not loaded)."
            % queue.path
        )
    path = os.path.join(queue.path, FAILED, name)
    if name not in put_aside(queue):
        raise QueueError("There is no %s." % path)
    try:
        with open_file(path) as stream:
            text = stream.read()
    except OSError as err:
        raise QueueError("%s can't be read: %s." % (path, err.strerror)) from err
    element = queue.add(text)
    # In the queue before it leaves failed: killed between the two, it is sent twice, not never.
    for old in (path, path + REASON):
        if os.path.exists(old):
            os.unlink(old)
    fsync_directory(os.path.dirname(path))
    return element
