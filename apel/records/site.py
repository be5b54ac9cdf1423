"""What a site keeps before there is a job record: batch events, grid users and files read."""

from apel.records.accelerators import MOST_ACCELERATORS
from apel.records.base import Record
from apel.records.fields import MOST_COUNT, MOST_GROUPS, integer, number, text, timestamp, tuples
from apel.records.rules import event_ends_after_it_starts

#: More seconds than a million cores have in thirty years: a log that says so is wrong, and a few of such
#: numbers, added up, would go beyond what databases hold.
MOST_SECONDS = 10**15


class EventRecord(Record):
    """A job as the batch system logged it: durations in seconds (CPU over all cores), memory in kB.

    From GPUs on it is ours. GPUs: how many the batch system gave it, None where its log doesn't say.
    Accelerators: tuples of a running number; host and model, where the log tells them; type (GPU, FPGA,
    Other); how many; for how many seconds the job had them and, where that was measured, used them.
    Token…: what it was submitted with (TokenGroups: separated by commas, the primary one first).
    """

    __slots__ = ()

    Site = text(required=True)
    JobName = text(required=True)
    LocalUserID = text()
    LocalUserGroup = text()
    WallDuration = integer(required=True, between=(0, MOST_SECONDS))
    CpuDuration = integer(required=True, between=(0, MOST_SECONDS))
    StartTime = timestamp(required=True)
    StopTime = timestamp(required=True)
    Infrastructure = text(max_length=100)
    MachineName = text(required=True)
    Queue = text()
    MemoryReal = integer(ge=0)
    MemoryVirtual = integer(ge=0)
    Processors = integer(between=(0, MOST_COUNT))
    NodeCount = integer(between=(0, MOST_COUNT))
    GPUs = integer(between=(0, MOST_COUNT))
    Accelerators = tuples(
        integer(required=True, ge=0),
        text(),
        text(),
        text(required=True, max_length=20),
        number(required=True, between=(0.0, MOST_ACCELERATORS)),
        integer(required=True, between=(0, MOST_SECONDS)),
        integer(between=(0, MOST_SECONDS)),
    )
    TokenIssuer = text()
    TokenSubject = text()
    TokenGroups = text(max_length=MOST_GROUPS)

    rules = (event_ends_after_it_starts,)


class BlahdRecord(Record):
    """Who submitted a batch job through a computing element.

    MachineName (the batch server of the parser that read the log) is ours: the incumbent can't tell
    apart two batch systems of one site that use the same job ids. So is the token, as in EventRecord.
    """

    __slots__ = ()

    TimeStamp = timestamp(required=True)
    GlobalUserName = text()
    FQAN = text()
    VO = text()
    VOGroup = text()
    VORole = text()
    CE = text()
    GlobalJobId = text()
    LrmsId = text(required=True)
    Site = text(required=True)
    ValidFrom = timestamp()
    ValidUntil = timestamp()
    Processed = integer(ge=0)
    MachineName = text()
    TokenIssuer = text()
    TokenSubject = text()
    TokenGroups = text(max_length=MOST_GROUPS)


class ProcessedFile(Record):
    """How far a log file has been read, and how to know it again.

    StopLine counts lines and Parsed records. From Position on it is ours: Position and Size in bytes,
    HeadLength the bytes that Hash covers, ModifiedNs the file's mtime in nanoseconds.
    """

    __slots__ = ()

    HostName = text(required=True)
    FileName = text(required=True)
    Hash = text(required=True, max_length=64)
    StopLine = integer(required=True, ge=0)
    Parsed = integer(required=True, ge=0)
    Position = integer(ge=0)
    HeadLength = integer(ge=0)
    TailHash = text(max_length=64)
    Size = integer(ge=0)
    ModifiedNs = integer()
    Inode = integer()
