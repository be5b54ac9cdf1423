"""Writes what the option tables and the commands' arguments say into samples, manuals, completions and docs.

`make manuals` runs it after a change of an option, argument or description; a test compares.
"""

import argparse
import glob
import importlib
import inspect
import os
import re
import sys
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from apelcommon.command import Command  # noqa: E402 - found by the line above
from apelcommon.config import REQUIRED, Option, OptionTable  # noqa: E402
from apelcommon.options import KINDS  # noqa: E402

GENERATED = (
    "<!-- Made by `make manuals` from the option tables and the commands' arguments: change those. -->"
)
EXIT_STATUS = (
    ("0", "Done."),
    ("1", "Something failed; standard error and the log say what."),
    ("2", "The arguments or the configuration are wrong."),
    ("75", "Trouble with a database, a broker, the network or a disk: try again later. Nothing is lost."),
)
KIND_WORDS = {
    "boolean": "true or false",
    "choice": "one of its words",
    "date": "date",
    "integer": "whole number",
    "number": "number",
    "path": "path",
    "pattern": "regular expression",
    "text": "text",
    "words": "list, with commas",
}


class Argument(NamedTuple):
    """One argument of a command: `flags` is empty for a positional one; `value` for a flag without one."""

    flags: Tuple[str, ...]
    value: str
    help: str
    choices: Tuple[str, ...]

    @property
    def heading(self) -> str:
        """`-c FILE, --config FILE`."""
        if not self.flags:
            return self.value
        return ", ".join(("%s %s" % (flag, self.value)).strip() for flag in self.flags)


class Manual(NamedTuple):
    """All that is to be said of a command. `tables` are (file in conf/, its table)."""

    name: str
    summary: str
    description: str
    example: str
    arguments: List[Argument]
    tables: List[Tuple[str, OptionTable]]
    parts: "List[Tuple[str, Manual]]"


# ---------------------------------------------------------------- gathering


def manuals() -> List[Manual]:
    """Of every command in bin/, in their order."""
    return [_manual(os.path.basename(path)) for path in sorted(glob.glob(os.path.join(ROOT, "bin", "*")))]


def _manual(name: str) -> Manual:
    text = _read("bin", name)
    summary = re.search(r'"""(.+?)"""', text, re.DOTALL)
    module_name = re.search(r"^from (\S+) import main$", text, re.MULTILINE)
    if summary is None or module_name is None:
        raise SystemExit("bin/%s: not an entry script as the others are" % name)
    module = importlib.import_module(module_name.group(1))
    command = _command(module, name)
    tables = [table for table in vars(module).values() if isinstance(table, OptionTable)]
    tables += [command.table] if command.table is not None and command.table not in tables else []
    parser = command.parser()
    if any(action.dest == "db" for action in parser._actions):
        tables.append(_db_table())
    files = {id(table): (_sample_of(table), table) for table in tables}
    manual = _of_parser(name, parser, _one_line(summary.group(1)))
    return manual._replace(
        description=command.description, example=command.example, tables=sorted(files.values(), key=str)
    )


def _command(module: Any, name: str) -> Command:
    for value in vars(module).values():
        if inspect.isclass(value) and issubclass(value, Command) and value.name == name:
            return value()
    raise SystemExit("%s has no Command named %s" % (module.__name__, name))


def _db_table() -> OptionTable:
    return importlib.import_module("apel.commands.server_config").DB_TABLE


def _sample_of(table: OptionTable) -> str:
    """The file of conf/ that is a table's sample, which may be out of date: it begins with the same line."""
    first = table.sample().partition("\n")[0]
    for path in sorted(glob.glob(os.path.join(ROOT, "conf", "*.cfg"))):
        if _read("conf", os.path.basename(path)).partition("\n")[0] == first:
            return os.path.basename(path)
    raise SystemExit(
        "No file in conf/ begins with %r: make one of that line, for %s" % (first, table.program)
    )


def _of_parser(name: str, parser: argparse.ArgumentParser, summary: str) -> Manual:
    arguments: List[Argument] = []
    parts: List[Tuple[str, Manual]] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {each.dest: each.help or "" for each in action._choices_actions}
            parts += [
                (word, _of_parser(word, sub, helps.get(word, ""))) for word, sub in action.choices.items()
            ]
        elif action.help != argparse.SUPPRESS:
            arguments.append(_argument(parser, action))
    return Manual(name, summary, parser.description or "", "", arguments, [], parts)


def _argument(parser: argparse.ArgumentParser, action: argparse.Action) -> Argument:
    help_text = _one_line(parser._get_formatter()._expand_help(action)) if action.help else ""
    choices = tuple(str(choice) for choice in action.choices or ())
    value = "" if action.nargs == 0 else _value(action, choices)
    return Argument(tuple(action.option_strings), value, help_text, choices)


def _value(action: argparse.Action, choices: Tuple[str, ...]) -> str:
    if isinstance(action.metavar, tuple):
        return " ".join(action.metavar)
    if action.metavar:
        return action.metavar
    if choices:
        return "{%s}" % ",".join(choices)
    return action.dest.upper() if action.option_strings else action.dest


def _read(*path: str) -> str:
    with open(os.path.join(ROOT, *path), encoding="utf-8") as stream:
        return stream.read()


def _one_line(text: str) -> str:
    return " ".join(text.split())


def default_of(option: Option) -> str:
    """What counts where a file doesn't give the option."""
    if option.default is REQUIRED:
        return "must be given"
    if option.default in (None, "", [], ()) or option.numbered:
        return "none"
    if isinstance(option.default, bool):
        return "true" if option.default else "false"
    if isinstance(option.default, (list, tuple)):
        return ", ".join(map(str, option.default))
    return str(option.default)


def kind_of(option: Option) -> str:
    """What its text has to be."""
    if option.choices:
        return "one of " + ", ".join(option.choices)
    return KIND_WORDS[option.kind] if option.kind in KINDS else "text"


# ---------------------------------------------------------------- manual pages


def man_page(manual: Manual) -> str:
    """The page in section 1, as troff."""
    lines = ['.TH %s 1 "" "APEL" "APEL and SSM"' % manual.name.upper(), ".SH NAME"]
    lines += ["%s \\- %s" % (manual.name, _roff(manual.summary.rstrip("."))), ".SH SYNOPSIS"]
    lines += [".B %s" % manual.name, _roff(_synopsis(manual)), ".SH DESCRIPTION"]
    lines += [_roff(manual.description), ".SH OPTIONS", *_man_arguments(manual.arguments)]
    for word, part in manual.parts:
        lines += [".SS %s %s" % (manual.name, word), _roff(part.summary or part.description)]
        lines += _man_arguments(part.arguments)
    for name, table in manual.tables:
        lines += [".SH CONFIGURATION: %s" % name.upper(), _roff("The file /etc/apel/%s." % name)]
        lines += _man_options(table)
    lines += [".SH EXIT STATUS"]
    for status, meaning in EXIT_STATUS:
        lines += [".TP", ".B %s" % status, _roff(meaning)]
    lines += [".SH EXAMPLE", ".nf", _roff(manual.example), ".fi", ".SH SEE ALSO"]
    lines += [_roff("The documentation: /usr/share/doc/apel-common/docs, where packages installed it.")]
    return "\n".join(line for line in lines if line) + "\n"


def _synopsis(manual: Manual) -> str:
    flags = [
        "[%s]" % ("%s %s" % (each.flags[0], each.value)).strip() for each in manual.arguments if each.flags
    ]
    words = [each.value for each in manual.arguments if not each.flags]
    parts = ["{%s} ..." % ",".join(word for word, _ in manual.parts)] if manual.parts else []
    return " ".join([*flags, *words, *parts])


def _man_arguments(arguments: List[Argument]) -> Iterator[str]:
    for each in arguments:
        yield from (".TP", ".B %s" % _roff(each.heading), _roff(each.help))


def _man_options(table: OptionTable) -> Iterator[str]:
    for section in table.sections:
        yield ".SS [%s]" % section
        for option in (each for each in table.options if each.section == section):
            meaning = "%s (%s; default: %s)" % (_one_line(option.help), kind_of(option), default_of(option))
            yield from (".TP", ".B %s" % _roff(option.name), _roff(meaning))


def _roff(text: str) -> str:
    """Text as troff takes it: no line of it is a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in escaped.splitlines())


# ---------------------------------------------------------------- completion


def completion(manual: Manual) -> str:
    """Completion for bash (and zsh, with bashcompinit)."""
    name = "_" + re.sub(r"\W", "_", manual.name)
    everything = [*manual.arguments, *(each for _, part in manual.parts for each in part.arguments)]
    words = [word for word, _ in manual.parts]
    words += [choice for each in manual.arguments if not each.flags for choice in each.choices]
    flags = sorted({flag for each in everything for flag in each.flags if flag.startswith("--")})
    lines = ["# Completion of %s: made by `make manuals`." % manual.name, "%s() {" % name]
    lines += ["    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}", "    case $prev in"]
    for each in everything:
        if each.flags and each.choices:
            lines += _case("|".join(each.flags), each.choices, "return ")
    valued = sorted({f for each in everything if each.value and not each.choices for f in each.flags})
    # Nothing of ours: the shell completes the names of files.
    lines += ["    %s) return ;;" % "|".join(valued)] if valued else []
    lines += ["    esac", "    case $cur in", *_case("-*", flags)]
    lines += _case("*", list(dict.fromkeys(words))) if words else []
    lines += ["    esac", "}", "complete -o bashdefault -o default -F %s %s" % (name, manual.name)]
    return "\n".join(lines) + "\n"


def _case(pattern: str, words: Any, then: str = "") -> List[str]:
    offer = 'mapfile -t COMPREPLY < <(compgen -W "%s" -- "$cur")' % " ".join(words)
    return ["    %s) %s" % (pattern, offer), "        %s;;" % then]


# ---------------------------------------------------------------- reference


def reference_of_commands(found: List[Manual]) -> str:
    """docs/reference-commands.md."""
    lines = [
        "# Commands",
        "",
        GENERATED,
        "",
        "Every command has a manual page with the same: `man apelclient`.",
        "",
    ]
    lines += ["Exit status of all of them:", "", "| | |", "|---|---|"]
    lines += ["| %s | %s |" % pair for pair in EXIT_STATUS]
    for manual in found:
        lines += ["", "## %s" % manual.name, "", manual.description, "", "    %s" % manual.example, ""]
        lines += _argument_rows(manual.arguments)
        for word, part in manual.parts:
            lines += ["", "### %s %s" % (manual.name, word), "", part.summary or part.description, ""]
            lines += _argument_rows(part.arguments)
        names = ["[%s](reference-options.md#%s)" % (name, _anchor(name)) for name, _ in manual.tables]
        lines += ["", "Configuration: %s." % ", ".join(names)] if names else []
    return "\n".join(lines) + "\n"


def _argument_rows(arguments: List[Argument]) -> List[str]:
    rows = ["| `%s` | %s |" % (_cell(each.heading), _cell(each.help)) for each in arguments]
    return ["| argument | meaning |", "|---|---|", *rows]


def reference_of_options(found: List[Manual]) -> str:
    """docs/reference-options.md."""
    lines = ["# Options of the configuration files", "", GENERATED, ""]
    lines += [
        "A commented sample of each file is in `conf/`. `--check-config` of a command checks its files."
    ]
    tables = {name: table for manual in found for name, table in manual.tables}
    for name, table in sorted(tables.items()):
        users = [manual.name for manual in found if name in dict(manual.tables)]
        lines += ["", "## %s" % name, "", "Of %s." % ", ".join("`%s`" % user for user in users)]
        lines += [] if not table.introduction else ["", _one_line(table.introduction)]
        for section in table.sections:
            lines += ["", "### [%s] of %s" % (section, name), "", "| option | what | default | meaning |"]
            lines += ["|---|---|---|---|", *_option_rows(table, section)]
    return "\n".join(lines) + "\n"


def _option_rows(table: OptionTable, section: str) -> Iterator[str]:
    for option in table.options:
        if option.section == section:
            cells = [kind_of(option), default_of(option), _one_line(option.help)]
            yield "| `%s` | %s |" % (option.name, " | ".join(map(_cell, cells)))


def _cell(text: str) -> str:
    # Angle brackets would be a tag.
    return text.replace("|", "\\|").replace("<", "&lt;") if "`" not in text else text.replace("|", "\\|")


def _anchor(heading: str) -> str:
    return re.sub(r"[^a-z0-9_-]", "", heading.lower())


# ---------------------------------------------------------------- files


def render() -> Dict[str, str]:
    """Path from the root → text, of all that is generated."""
    found = manuals()
    files = {"man/%s.1" % manual.name: man_page(manual) for manual in found}
    files.update({"completions/%s" % manual.name: completion(manual) for manual in found})
    files.update({"conf/%s" % name: table.sample() for manual in found for name, table in manual.tables})
    files["docs/reference-commands.md"] = reference_of_commands(found)
    files["docs/reference-options.md"] = reference_of_options(found)
    return files


def main(argv: Optional[List[str]] = None) -> int:
    """Write the files, and delete those of commands that are gone."""
    files = render()
    for folder in ("man", "completions"):
        os.makedirs(os.path.join(ROOT, folder), exist_ok=True)
        for name in os.listdir(os.path.join(ROOT, folder)):
            if "%s/%s" % (folder, name) not in files:
                os.unlink(os.path.join(ROOT, folder, name))
    for path, text in sorted(files.items()):
        with open(os.path.join(ROOT, path), "w", encoding="utf-8") as stream:
            stream.write(text)
    print("%d files written." % len(files))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
