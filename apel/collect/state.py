"""What has been collected, remembered in a small file beside the logs."""

import json
import os
from typing import Optional

from apel.times import utc_text
from apelcommon.errors import ServiceError
from apelcommon.files import write_atomically

KEY = "collected_until"


class State:
    """The file that says before which moment all jobs have been collected."""

    def __init__(self, folder: str, prefix: str) -> None:
        self.path = os.path.join(folder, state_name(prefix))

    def read(self) -> Optional[int]:
        """Epoch seconds, or None before the first run. Raises ServiceError for a file that says nothing."""
        try:
            with open(self.path, "rb") as stream:
                found = json.loads(stream.read().decode("utf-8"))[KEY]
            if type(found) is not int or found < 0:
                raise ValueError("%s is no moment" % KEY)
        except FileNotFoundError:
            return None
        except OSError as err:
            raise ServiceError("%s: %s" % (self.path, err.strerror)) from err
        except (ValueError, KeyError, TypeError) as err:
            raise ServiceError(
                "%s is damaged (%s): remove it, and say --since with the time of the last run that went well"
                % (self.path, err)
            ) from err
        return found

    def write(self, until: int) -> None:
        """Remember, on disk. Raises OSError."""
        text = json.dumps({KEY: until, "as_text": utc_text(until) + " UTC"})
        write_atomically(self.path, text.encode("ascii") + b"\n")


def state_name(prefix: str) -> str:
    """The file's name; the dot keeps it out of what apelparser reads."""
    return ".apelcollect.%s.json" % prefix
