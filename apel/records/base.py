"""Record: an immutable tuple of values whose fields a class body declares once, in wire order."""

from operator import itemgetter
from typing import Any, Callable, Dict, Iterable, Optional, Tuple, Type, TypeVar

from apel import times
from apel.errors import RecordError
from apel.records.fields import Field, Value

R = TypeVar("R", bound="Record")


class Record(tuple):
    """One record. Values stand in the order of `fields`; each is also an attribute by its name.

    `rules` are the checks that need more than one field: functions of (record, now) that raise RecordError,
    where now is the time in epoch seconds.

    Subclasses say `__slots__ = ()`, so that a record is no bigger than its tuple.
    """

    __slots__ = ()

    fields: Tuple[Field, ...] = ()
    names: Tuple[str, ...] = ()
    rules: Tuple[Callable[[Any, int], None], ...] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = [member for member in vars(cls).values() if isinstance(member, Field)]
        cls.fields = cls.fields + tuple(own)
        cls.names = tuple(field.name for field in cls.fields)
        for place, field in enumerate(cls.fields):
            setattr(cls, field.name, property(itemgetter(place), doc=repr(field)))

    @classmethod
    def make(cls: Type[R], values: Iterable[Value]) -> R:
        """A record of values that are known to be right: typed, complete, in order. Nothing is checked."""
        return tuple.__new__(cls, values)

    @classmethod
    def of(cls: Type[R], **values: Any) -> R:
        """A checked record of named values; what is not named is None. Raises RecordError."""
        return cls.make(cls._in_order(values)).check()

    @classmethod
    def _in_order(cls, values: Dict[str, Any]) -> Tuple[Any, ...]:
        unknown = values.keys() - set(cls.names)
        if unknown:
            raise RecordError("", "Unknown field: " + ", ".join(sorted(unknown)))
        return tuple(map(values.get, cls.names))

    def check(self: R, now: Optional[int] = None) -> R:
        """This record, with every value cleaned and every rule kept. Raises RecordError."""
        if len(self) != len(self.fields):
            raise RecordError("", f"{len(self)} values for {len(self.fields)} fields")
        checked = self.make(field.clean(value) for field, value in zip(self.fields, self))
        return checked.check_rules(times.now() if now is None else now)

    def check_rules(self: R, now: int) -> R:
        """Only the rules that need more than one field, for a record whose values are clean already."""
        for rule in self.rules:
            rule(self, now)
        return self

    def replace(self: R, **changes: Any) -> R:
        """A copy with some values changed. Like `make` it checks nothing: say `.check()` if in doubt."""
        values = self.as_dict()
        values.update(changes)
        return self.make(self._in_order(values))

    def as_dict(self) -> Dict[str, Value]:
        return dict(zip(self.names, self))

    def __repr__(self) -> str:
        pairs = ", ".join(f"{name}={value!r}" for name, value in zip(self.names, self))
        return f"{type(self).__name__}({pairs})"
