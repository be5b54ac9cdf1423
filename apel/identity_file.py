"""The option that names the identity map: the file is read, and checked, together with the configuration."""

from typing import Any, Optional

from apel.identity_map import IdentityMap, parse_map
from apelcommon.options import Option

USUAL_PATH = "/etc/apel/identity.map"

HELP = (
    "The file with the rules that give jobs their VO, group and role (docs/identity.md). "
    "Not given: jobs have what the log says."
)
#: The parser decides nothing by it, and so needs none.
PARSER_HELP = (
    "The file that [joiner] identity_map of client.cfg names, so that --explain can say which of its rules "
    "will decide. It is apelclient that gives jobs their VO."
)


def identity_map(path: str) -> Optional[IdentityMap]:
    """The map in a file; None for no path. Raises ValueError that names all that is wrong, with its lines."""
    if not path:
        return None
    try:
        with open(path, encoding="utf-8") as stream:
            text = stream.read()
    except OSError as err:
        raise ValueError("can't be read: %s: %s" % (path, err.strerror)) from err
    except UnicodeDecodeError as err:
        raise ValueError("can't be read: %s is not UTF-8: %s" % (path, err)) from err
    return parse_map(text, path)


def identity_option(section: str, help: str = HELP) -> Option:
    """The option identity_map of a section; its value is an IdentityMap or None."""
    kind: Any = identity_map
    return Option(section, "identity_map", kind, None, help, sample=USUAL_PATH)
