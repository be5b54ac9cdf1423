"""Stores the records of messages: of one message the good ones, of several together all or none."""

import logging
from functools import partial
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

from apel.columns import joined, parts
from apel.db import Database, RowRefused
from apel.db.marks import mark_months
from apel.db.store import store
from apel.db.tables import Table
from apel.errors import OfTheFuture
from apel.messages import Message
from apel.own_clock import checked_time
from apel.records import JobRecord, StorageRecord, SummaryRecord
from apel.server.closed import REFUSED, MonthsClosed, refuse_closed
from apel.server.deliveries import Delivery, Opened
from apel.server.kinds import TABLES, months_of
from apel.server.levels import kept_apart
from apel.server.site_rights import SiteRights, stored_sites
from apel.server.verdicts import Verdict, reasons, refusal, verdict_on, without
from apel.summaries import SiteMonth
from apel.times import month_of
from apel.unloader import hold_off_together, prepare_writers
from apelcommon.daemon import notify

log = logging.getLogger(__name__)

NO_TABLES = "There are no %s tables in this database: run `apeldb init --schema %s`, or load it elsewhere."
#: In one transaction: on a cluster, a write set of a few MB. Usual messages have a thousand.
MOST_RECORDS_AT_ONCE = 5000


class Kind(NamedTuple):
    """Records of one kind, of one message or several; and who signed each."""

    message: Message
    signers: Sequence[str]


class Portion(NamedTuple):
    """Records of one kind on their way into their table, and what marks the months that they change."""

    table: Table
    records: Sequence[Any]
    rows: Sequence[Tuple[Any, ...]]
    mark: Callable[[Any], None]


class Storing:
    """Stores messages. `strict`: one bad record refuses its whole message. `rights`: see Loader."""

    def __init__(self, db: Database, strict: bool = False, rights: Optional[SiteRights] = None) -> None:
        self.db = db
        self.strict = strict
        self.rights = rights
        self._prepared = False

    def goes_alone(self, one: Opened) -> bool:
        """Whether a message can't be stored with others.

        One of an archive replaces nothing. Storage records are known by ids without a site, and who sent one
        of a site may not replace another's: they can't be judged before those that came before are stored.
        """
        is_storage = isinstance(one.content, Message) and one.content.record_class is StorageRecord
        return (is_storage and self.rights is not None) or one.delivery.is_archived

    def judged(self, one: Opened) -> Opened:
        """A message with those of its records that may be stored, or with the verdict on it.

        Raises Transient where it is our clock that is wrong.
        """
        if isinstance(one.content, Verdict):
            return one
        if any(isinstance(rejected.error, OfTheFuture) for rejected in one.content.rejected):
            self.db.run(checked_time)
        message = self._permitted(one.delivery, one.content)
        if message.record_class is SummaryRecord:
            message = message._replace(records=kept_apart(message.records))
        schema = TABLES[message.record_class].schema
        if not self.db.has(schema):
            reason = NO_TABLES % (schema, schema)
            return Opened(one.delivery, _refused(one.delivery, message, reason, len(message.records)))
        return Opened(one.delivery, self._strictly(one.delivery, message))

    def _strictly(self, delivery: Delivery, message: Message) -> Union[Message, Verdict]:
        """The message; in strict mode refused if a record of it is."""
        if not self.strict or not message.rejected:
            return message
        return _refused(delivery, message, reasons(message.rejected), len(message.rejected))

    def _permitted(self, delivery: Delivery, message: Message) -> Message:
        """The message, without the records of sites that its signer may not send for if that is enforced."""
        if self.rights is None:
            return message
        stored = stored_sites(self.db, message.records)
        refused = self.rights.check(delivery.signer, message.records, stored)
        if not refused:
            return message
        if not self.rights.enforced:
            log.warning(
                "Message %s, id %s, from %s: %d records: %s", *delivery.known(), len(refused), refused[0][1]
            )
            return message
        return without(message, refused)

    def store(self, group: Sequence[Opened]) -> List[Verdict]:
        """Store messages that are judged; what became of each, when all is committed.

        Of one message what the database takes, in strict mode all or nothing. Of several all or nothing, in
        one transaction: where the database refuses any of it, that raises RowRefused or MonthsClosed.
        Raises Transient when the database can't be used.
        """
        verdicts = [one.content for one in group if isinstance(one.content, Verdict)]
        if len(verdicts) == len(group):
            return verdicts
        if not self._prepared:
            prepare_writers(self.db)
            self._prepared = True
        work = partial(self._one, group[0]) if len(group) == 1 else partial(self._together, group)
        return self.db.on_one_connection(work)

    def _one(self, one: Opened) -> List[Verdict]:
        delivery, content = one
        while isinstance(content, Message):
            try:
                return [self._whole(delivery, content) if self.strict else self._good_ones(delivery, content)]
            except MonthsClosed as err:
                content = self._strictly(delivery, self._without_closed(content, err.months))
        return [content]

    def _without_closed(self, message: Message, months: Set[SiteMonth]) -> Message:
        records: Sequence[Any] = message.records
        ids = self.db.ids("Sites", {record.Site for record in records})
        found = [(record, SiteMonth(ids[record.Site], *month_of(record.EndTime))) for record in records]
        return without(message, [(record, REFUSED % month[1:]) for record, month in found if month in months])

    def _good_ones(self, delivery: Delivery, message: Message) -> Verdict:
        """The good records of a message; the others are rejected.

        In one transaction; of a very large message in several: whatever happens between two of them, the
        message is still there, still the first of its signer, and is stored again from its beginning.
        """
        table = TABLES[message.record_class]
        extra = {"PublisherDN": delivery.signer}
        mark = self._marker(message, table.marks)
        unstored: List[Tuple[Any, str]] = []
        for part in parts(message.records, MOST_RECORDS_AT_ONCE):
            unstored += store(self.db, table, part, delivery.conflict, extra, mark, self._hold_off).rejected
            notify("WATCHDOG=1")
        return verdict_on(message, delivery.body, unstored)

    def _whole(self, delivery: Delivery, message: Message) -> Verdict:
        """All records of a message, or none."""
        try:
            (verdict,) = self._together([Opened(delivery, message)])
        except RowRefused as err:
            return _refused(delivery, message, str(err), len(message.records))
        return verdict

    def _together(self, group: Sequence[Opened]) -> List[Verdict]:
        """All records of some messages, or none."""
        portions = list(map(self._portion, _by_kind(group)))
        conflict = group[0].delivery.conflict  # of all of them: see goes_alone

        def work(tx: Any) -> None:
            self._hold_off(tx)
            for portion in portions:
                portion.table.insert(tx, portion.records, portion.rows, conflict)
            for portion in portions:
                portion.mark(tx)

        if portions:
            self.db.run(work)
        return [
            content if isinstance(content, Verdict) else verdict_on(content, delivery.body)
            for delivery, content in group
        ]

    def _portion(self, kind: Kind) -> Portion:
        message = kind.message
        table = TABLES[message.record_class]
        rows = table.rows(self.db, message.records, PublisherDN=kind.signers)
        return Portion(table, message.records, rows, self._marker(message, table.marks))

    def _hold_off(self, tx: Any) -> None:
        """Have the unloader wait until this transaction is committed; other loaders needn't (unloader.py)."""
        hold_off_together(tx, self.db.sql)

    def _marker(self, message: Message, marks: str) -> Callable[[Any], None]:
        """What marks, in the transaction of the records, the months that the summariser must make again."""
        months = months_of(message)
        site_ids = self.db.ids("Sites", {site for site, _, _ in months})

        def mark(tx: Any) -> None:
            changed = {(site_ids[site], year, month) for site, year, month in months}
            if message.record_class is JobRecord:
                refuse_closed(tx, changed)
            mark_months(tx, changed, marks)

        return mark


def _refused(delivery: Delivery, message: Message, reason: str, records: int) -> Verdict:
    return refusal(message.format, delivery.body, reason, records)


def _by_kind(group: Sequence[Opened]) -> List[Kind]:
    """The records of messages by their kind, else in the order in which they came: of two the later stays."""
    found: Dict[type, List[Tuple[str, Message]]] = {}
    for delivery, content in group:
        if isinstance(content, Message) and content.records:
            found.setdefault(content.record_class, []).append((delivery.signer, content))
    # In an order that all loaders keep, or else they would wait for each other crosswise.
    return [_merged(found[kind]) for kind in TABLES if kind in found]


def _merged(some: Sequence[Tuple[str, Message]]) -> Kind:
    signers = [signer for signer, message in some for _ in range(len(message.records))]
    first = some[0][1]
    return Kind(first._replace(records=joined([message.records for _, message in some])), signers)
