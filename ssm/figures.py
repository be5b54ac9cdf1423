"""What sender and receiver tell Prometheus of themselves, and of their queues."""

import datetime
import time
from typing import Any, Dict, Iterable

from apelcommon.errors import ServiceError
from apelcommon.metrics import Gauge, Metrics
from ssm.credentials import certificate_ends
from ssm.filequeues import Queue

SECONDS_BETWEEN_COUNTS = 60.0
QUEUE_HELP = "Messages in a queue, locked or not."
AGE_HELP = "How old the oldest message in a queue is; 0 for none."
DAYS_HELP = "Days until our certificate ends; negative: it has."


class _Figures:
    """What both have: queues, and a certificate."""

    def __init__(self, metrics: Metrics, certificate: str) -> None:
        self.metrics = metrics
        self.certificate = certificate
        self.depth = metrics.gauge("ssm_queue_messages", QUEUE_HELP)
        self.age = metrics.gauge("ssm_queue_oldest_seconds", AGE_HELP)
        self.days = metrics.gauge("ssm_certificate_days_left", DAYS_HELP)
        self._next_count = 0.0

    def look(self, queues: Dict[str, Queue]) -> None:
        """Look at queues and certificate. It never raises: figures are not worth the work."""
        if not self.metrics.path:
            return
        for name, queue in queues.items():
            try:
                oldest = queue.oldest()
                self.depth.set(queue.count(), queue=name)
                self.age.set(0 if oldest is None else max(0.0, time.time() - oldest), queue=name)
            except OSError:
                continue
        _set_days(self.days, self.certificate)

    def look_now_and_then(self, queues: Dict[str, Queue]) -> None:
        """Look every minute, and write the file every quarter of one."""
        if time.monotonic() >= self._next_count:
            self._next_count = time.monotonic() + SECONDS_BETWEEN_COUNTS
            self.look(queues)
        self.metrics.write_now_and_then()


def _set_days(gauge: Gauge, certificate: str) -> None:
    try:
        left = certificate_ends(certificate) - datetime.datetime.now(datetime.timezone.utc)
        gauge.set(left.total_seconds() / 86400)
    except ServiceError:
        gauge.clear()


class SenderFigures(_Figures):
    """Of ssmsend, for each destination."""

    def __init__(self, settings: Any) -> None:
        destination = settings.messaging.destination
        super().__init__(
            Metrics(settings.metrics.textfile, "ssmsend", destination=destination),
            settings.certificates.certificate,
        )
        self.sent = self.metrics.counter("ssm_messages_sent_total", "Messages sent, with a receipt.")
        self.failed = self.metrics.counter(
            "ssm_messages_failed_total", "Messages that could not be sent, though the line was good."
        )

        self.success = False
        self.sent.add(0)
        self.failed.add(0)

    def ran(self, queues: Dict[str, Queue]) -> None:
        """A run has ended, with success if `success` was set."""
        self.look(queues)
        self.metrics.ended(self.success)


class ReceiverFigures(_Figures):
    """Of ssmreceive, for each destination."""

    def __init__(self, settings: Any, reasons: Iterable[str] = ()) -> None:
        destination = settings.messaging.destination
        super().__init__(
            Metrics(settings.metrics.textfile, "ssmreceive", destination=destination),
            settings.certificates.certificate,
        )
        self.received = self.metrics.counter(
            "ssm_messages_received_total", "Messages accepted into incoming."
        )
        self.rejected = self.metrics.counter("ssm_messages_rejected_total", "Messages refused, by reason.")
        self.removed = self.metrics.counter(
            "ssm_rejects_removed_total", "Messages removed from reject, which had grown beyond its limits."
        )
        self.last = self.metrics.gauge(
            "ssm_last_received_timestamp_seconds", "When a message was last accepted.", kept=True
        )
        self.received.add(0)
        for reason in reasons:
            self.rejected.add(0, reason=reason)

    def stored(self) -> None:
        """A message was accepted."""
        self.received.add()
        self.last.set(time.time())
