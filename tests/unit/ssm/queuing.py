"""Queues for tests, of each layout, and what is put into them."""

import os
import time

from ssm.queues import INCOMING, MessageQueue, open_outgoing


def open_queue(kind, path):
    """A queue of a layout: simple, normal, or a directory of plain files."""
    if kind == "normal":
        return MessageQueue(path, INCOMING)
    return open_outgoing(path, "directory" if kind == "directory" else "dirq")


def add(queue, number=0):
    """Add a message; its name there."""
    text = "message %d" % number
    return queue.add({"body": text, "signer": "/CN=x"} if isinstance(queue, MessageQueue) else text)


def age(path, seconds):
    """Make a file older."""
    os.utime(path, (time.time() - seconds,) * 2)
