"""What can go wrong with a database, by what helps: again at once, again later, an operator, or nothing."""

from apelcommon.errors import Permanent, Transient


class NewConnection(Exception):
    """Ids were looked up on a connection that is gone, and are not to be used on another: what relies on them
    must begin anew. Only Database.on_one_connection sees it.
    """


class Conflict(Transient):
    """Another transaction was in the way (deadlock, lock wait, busy file): repeat the whole transaction."""


class Lost(Transient):
    """The connection, or the server's will to serve, is gone: connect again, to the next host, and repeat."""


class Unusable(Transient):
    """The database can't do this until an operator has done something (rights, schema, disk).

    No content is to blame, so whatever waits for the database goes on waiting; but nothing is gained by
    trying again at once.
    """


class RowRefused(Permanent):
    """The database refuses these very values, today and tomorrow (too long, out of range, missing)."""
