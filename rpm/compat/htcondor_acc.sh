#!/bin/sh
# Where crontabs of before version 5 call it: it wrote a log and ran the parser.
/usr/bin/apelcollect htcondor "$@" && exec /usr/bin/apelparser --config /etc/apel/parser.cfg
