"""Configuration files: one table of options drives reading, checking, the sample and the reference.

The files are INI as the incumbent reads them: option names in any case, section names as written,
`=` or `:` between name and value, `%%` for a per cent sign (a lone `%` is taken as it stands).
"""

import configparser
import difflib
import os
import textwrap
from types import SimpleNamespace
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Tuple

from apelcommon.errors import ConfigError, ServiceError
from apelcommon.logs import FORMATS, LEVELS, TEXT
from apelcommon.options import REQUIRED, Option, Shipped
from apelcommon.resources import sample_path

__all__ = ["REQUIRED", "LOGGING", "Option", "OptionTable", "Settings", "read_text"]

SAMPLE_WIDTH = 98


class Settings(SimpleNamespace):
    """What a configuration file says, by section and option: `settings.db.hostname`."""

    path: str

    def section(self, name: str) -> Any:
        """A section by its name in the file."""
        return getattr(self, name.replace("-", "_"))


def LOGGING(logfile: str, console: bool = True) -> List[Option]:  # noqa: N802 - reads as a constant
    """The [logging] section that every program has."""
    return [
        Option("logging", "logfile", "path", logfile, "Where the log goes. Empty: no log file."),
        Option(
            "logging",
            "level",
            "choice",
            "INFO",
            "How much is logged: DEBUG, INFO, WARN, ERROR, CRITICAL.",
            choices=LEVELS,
        ),
        Option("logging", "console", "boolean", console, "Whether log lines go to standard output as well."),
        Option(
            "logging",
            "format",
            "choice",
            TEXT,
            "text: lines for people. json: an object a line, for programs.",
            choices=FORMATS,
        ),
    ]


class OptionTable:
    """All options of one configuration file.

    `obsolete` maps (section, option) of old files, which are accepted, to a hint that is kept in
    `Settings.hints`; the option may still be declared, though it has no effect. `check` looks at options
    together and says what is wrong with them. It is asked even when single options are wrong, whose values
    are None then, so that everything is said at once.
    """

    def __init__(
        self,
        program: str,
        options: Iterable[Option],
        obsolete: Optional[Mapping[Tuple[str, str], str]] = None,
        introduction: str = "",
        check: Optional[Callable[[Settings], Iterable[str]]] = None,
    ) -> None:
        self.program = program
        self.check = check
        self.options: List[Option] = list(options)
        self.obsolete = dict(obsolete or {})
        self.introduction = introduction

    @property
    def sections(self) -> List[str]:
        """The names of the sections, in order."""
        return list(dict.fromkeys(option.section for option in self.options))

    def read(self, path: str) -> Settings:
        """Read a file. Raises ConfigError that lists everything wrong with it."""
        return self.parse(read_text(path), path)

    def parse(self, text: str, path: str = "<text>") -> Settings:
        """Read the text of a file; `path` is what the errors call it."""
        parser = configparser.RawConfigParser(strict=True)
        try:
            parser.read_string(text, source=path)
        except configparser.Error as err:
            raise ConfigError("%s: %s" % (path, " ".join(str(err).split()))) from err
        written = {name: dict(parser.items(name)) for name in parser.sections()}
        reader = _Reader(self, written, path)
        settings = reader.settings()
        if self.check is not None:
            reader.problems += ["%s: %s" % (path, problem) for problem in self.check(settings)]
        if reader.problems:
            raise ConfigError(reader.problems)
        return settings

    def defaults(self, values: Optional[Mapping[str, Any]] = None) -> Settings:
        """Settings made without a file: defaults, and `{'section.option': value}` over them."""
        given = dict(values or {})
        settings = _empty(self)
        for option in self.options:
            key = "%s.%s" % (option.section, option.name)
            value = given.pop(key, _default(option))
            if value is REQUIRED:
                raise ConfigError("%s: no value for %s" % (self.program, key))
            setattr(settings.section(option.section), option.attribute, value)
        if given:
            raise ConfigError(["%s: unknown option %s" % (self.program, key) for key in sorted(given)])
        return settings

    def sample(self) -> str:
        """A commented sample file that holds every option."""
        lines = _comment(self.introduction) if self.introduction else []
        for section in self.sections:
            lines += ["", "[%s]" % section] if lines else ["[%s]" % section]
            for option in self.options:
                if option.section == section:
                    lines += _sample_lines(option)
        return "\n".join(lines) + "\n"


def read_text(path: str) -> str:
    """The text of a configuration file. Raises ConfigError that says what to do where there is none."""
    try:
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except FileNotFoundError:
        raise ConfigError("Config file not found at %s: %s" % (path, _what_to_do(path))) from None
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError("Config file %s can't be read: %s" % (path, err)) from err


def _what_to_do(path: str) -> str:
    """What to do about a file that isn't there."""
    try:
        sample = sample_path(os.path.basename(path))
    except ServiceError:
        return "name another, see --help"
    return "copy %s there and edit it, or name another, see --help" % sample


class _Reader:
    """Reads one file against a table and gathers what is wrong with it."""

    def __init__(self, table: OptionTable, written: Dict[str, Dict[str, str]], path: str) -> None:
        self.table = table
        self.written = written
        self.path = path
        self.problems: List[str] = []

    def settings(self) -> Settings:
        settings = _empty(self.table)
        settings.path = self.path
        self._unknown(settings)
        for option in self.table.options:
            value = self._value(option)
            setattr(settings.section(option.section), option.attribute, value)
        return settings

    def _unknown(self, settings: Settings) -> None:
        for section, options in self.written.items():
            if section not in self.table.sections:
                self._problem("unknown section [%s]%s" % (section, _near(section, self.table.sections)))
                continue
            mine = [option for option in self.table.options if option.section == section]
            for name in options:
                hint = self.table.obsolete.get((section, name))
                if hint is not None:
                    settings.hints.append("%s: [%s] %s: %s" % (self.path, section, name, hint))
                elif not any(option.matches(name) for option in mine):
                    near = _near(name, [option.name for option in mine])
                    self._problem("[%s] unknown option %s%s" % (section, name, near))

    def _value(self, option: Option) -> Any:
        options = self.written.get(option.section, {})
        if option.numbered:
            return self._numbered(option, options)
        text = options.get(option.name.lower())
        if text is None:
            if option.default is REQUIRED:
                whole = "" if option.section in self.written else ", as is its whole section"
                self._problem("[%s] %s is missing%s" % (option.section, option.name, whole))
                return None
            return _default(option)
        return self._read(option, option.name, text)

    def _numbered(self, option: Option, options: Dict[str, str]) -> List[Tuple[str, Any]]:
        names = sorted(
            (name for name in options if option.matches(name)),
            key=lambda name: int(name[len(option.name) - 1 :]),
        )
        return [(name, self._read(option, name, options[name])) for name in names]

    def _read(self, option: Option, name: str, text: str) -> Any:
        try:
            return option.read(text.replace("%%", "%"))
        except ValueError as err:
            self._problem("[%s] %s %s" % (option.section, name, err))
            return None

    def _problem(self, text: str) -> None:
        self.problems.append("%s: %s" % (self.path, text))


def _empty(table: OptionTable) -> Settings:
    settings = Settings(path="", hints=[])
    for section in table.sections:
        setattr(settings, section.replace("-", "_"), SimpleNamespace())
    return settings


def _default(option: Option) -> Any:
    if option.numbered:
        return []
    return list(option.default) if isinstance(option.default, (list, tuple)) else option.default


def _near(name: str, known: Iterable[str]) -> str:
    found = difflib.get_close_matches(name.lower(), [word.lower() for word in known], 1, 0.6)
    return "; did you mean %s?" % found[0] if found else ""


def _comment(text: str) -> List[str]:
    lines: List[str] = []
    for paragraph in text.strip().splitlines():
        lines += textwrap.wrap(paragraph, SAMPLE_WIDTH, initial_indent="# ", subsequent_indent="# ") or ["#"]
    return lines


def _sample_lines(option: Option) -> List[str]:
    lines = _comment(option.help)
    name = option.name.replace("#", "1")
    if option.sample is not None:
        shown, active = option.sample, isinstance(option.sample, Shipped) or option.default is REQUIRED
    elif option.default is REQUIRED:
        shown, active = "", True
    elif option.default in (None, []) or option.numbered:
        shown, active = "", False
    else:
        shown, active = _as_text(option.default), True
    return [*lines, ("" if active else "#") + ("%s = %s" % (name, shown)).rstrip()]


def _as_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ", ".join(value)
    return str(value).replace("%", "%%")
