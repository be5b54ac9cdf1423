"""The marks of months whose sums must be made again: where those of each kind are, and how they are left."""

import secrets
from typing import TYPE_CHECKING, Dict, Iterable, Tuple

if TYPE_CHECKING:
    from apel.db.database import Transaction

#: Of jobs, and of virtual machines; below, of storage, accelerators and public IP addresses.
CHANGED_MONTHS, CHANGED_CLOUD_MONTHS = "ChangedMonths", "ChangedCloudMonths"
CHANGED_STORAGE_MONTHS = "ChangedStorageMonths"
CHANGED_ACCELERATOR_MONTHS, CHANGED_IP_MONTHS = "ChangedAcceleratorMonths", "ChangedIPMonths"
#: Those of a schema's tables, where they aren't CHANGED_MONTHS.
MARKS = {
    "cloud": CHANGED_CLOUD_MONTHS,
    "storage": CHANGED_STORAGE_MONTHS,
    "accelerator": CHANGED_ACCELERATOR_MONTHS,
    "ip": CHANGED_IP_MONTHS,
}


def mark_months(
    tx: "Transaction", months: Iterable[Tuple[int, int, int]], table: str = CHANGED_MONTHS
) -> Dict[Tuple[int, int, int], int]:
    """Say, in the transaction that changes them, which (site id, year, month) must be summarised again.

    table: where the marks are. Returns the mark of each month.
    """
    # From the system: two processes forked from one would draw the same marks.
    rows = [(*month, secrets.randbits(63)) for month in sorted(set(months))]
    tx.insert(table, ("SiteID", "Year", "Month", "Mark"), rows)
    return {row[:3]: row[3] for row in rows}
