"""What MariaDB and MySQL say differently: SQL only, without their driver."""

from typing import Sequence

from apel.db.backend import VERSION_COLUMNS, Expressions


class MySQLExpressions(Expressions):
    """The expressions of apel/db/mysql.py."""

    def epoch(self, column: str) -> str:
        # UNIX_TIMESTAMP ends in 2038 on many servers.
        return "TIMESTAMPDIFF(SECOND, '1970-01-01', %s)" % column

    def exact_text(self, column: str) -> str:
        return "IFNULL(%s, '')" % column

    def concatenated(self, parts: Sequence[str], separator: str) -> str:
        return "CONCAT_WS('%s', %s)" % (separator, ", ".join(parts))

    def joined(self, text: str, separator: str) -> str:
        return "GROUP_CONCAT(%s SEPARATOR '%s')" % (text, separator)

    def on_conflict(self, columns: Sequence[str], key: Sequence[str], table: str) -> str:
        # A row that is set to what it is stays untouched, UpdateTime included.
        version = VERSION_COLUMNS.get(table)
        if version in columns:
            # From left to right: the version must be the last that changes.
            newer = "{0} = IF(VALUES({1}) >= {1}, VALUES({0}), {0})"
            changes = [newer.format(name, version) for name in columns if name != version]
            last = "{0} = IF(VALUES({0}) >= {0}, VALUES({0}), {0})".format(version)
            return " ON DUPLICATE KEY UPDATE " + ", ".join([*changes, last])
        return " ON DUPLICATE KEY UPDATE " + ", ".join("%s = VALUES(%s)" % (name, name) for name in columns)

    def shared_lock(self) -> str:
        return " LOCK IN SHARE MODE"

    def upsert_select(self, table: str, columns: Sequence[str], key: Sequence[str], select: str) -> str:
        head = "INSERT INTO %s (%s) %s" % (table, ", ".join(columns), select)
        return head + self.on_conflict(columns, key, table)

    def update_from(self, table: str, source: str, key: Sequence[str], columns: Sequence[str]) -> str:
        same = " AND ".join("%s.%s = %s.%s" % (table, name, source, name) for name in key)
        changes = ", ".join("%s.%s = %s.%s" % (table, name, source, name) for name in columns)
        return "UPDATE %s JOIN %s ON %s SET %s" % (table, source, same, changes)
