# What CI runs, by name. Needs the extras [test,lint] of setup.py, as pinned in tests/constraints/newest.txt.

PYTHON ?= python3
CODE = apel ssm apelcommon setup.py $(wildcard bin/* runtests rpm/*.py tools/*.py)
ALL = $(CODE) tests $(wildcard bench)

.PHONY: check lint layout rules types floor format test bench manuals docs rpm clean

check: lint test

# `make -k lint` goes on to the other three when one fails.
lint: layout rules types floor

layout:
	$(PYTHON) -m ruff format --check $(ALL)

rules:
	$(PYTHON) -m ruff check $(ALL)

types:
	$(PYTHON) -m mypy
	$(PYTHON) -m mypy $(wildcard rpm/*.py tools/*.py)

floor:
	$(PYTHON) -c 'import vermin; vermin.main()' --target=3.6- --violations --no-tips --eval-annotations --quiet $(CODE) tests

format:
	$(PYTHON) -m ruff format $(ALL)
	$(PYTHON) -m ruff check --fix $(ALL)

test:
	$(PYTHON) -m pytest

bench:
	$(PYTHON) -m bench

# Samples, manual pages, completions and the reference, anew from option tables and the commands' arguments.
manuals:
	$(PYTHON) tools/manuals.py

# The documentation as a site, into site/. Needs the extra [docs].
docs:
	$(PYTHON) -m mkdocs build --strict

# Packages for a release of Enterprise Linux, into dist/: make rpm EL=9
EL ?= 9
rpm:
	$(PYTHON) rpm/build.py $(EL)

clean:
	rm -rf build dist site *.egg-info .venv-test .mypy_cache .ruff_cache .pytest_cache .hypothesis
