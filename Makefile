# What CI runs, by name. Needs the extras [test,lint] of setup.py, as pinned in tests/constraints/newest.txt.

PYTHON ?= python3
CODE = apel ssm apelcommon setup.py $(wildcard bin/* runtests)
ALL = $(CODE) tests $(wildcard bench)

.PHONY: check lint layout rules types floor format test bench clean

check: lint test

# `make -k lint` goes on to the other three when one fails.
lint: layout rules types floor

layout:
	$(PYTHON) -m ruff format --check $(ALL)

rules:
	$(PYTHON) -m ruff check $(ALL)

types:
	$(PYTHON) -m mypy

floor:
	$(PYTHON) -c 'import vermin; vermin.main()' --target=3.6- --violations --no-tips --eval-annotations --quiet $(CODE) tests

format:
	$(PYTHON) -m ruff format $(ALL)
	$(PYTHON) -m ruff check --fix $(ALL)

test:
	$(PYTHON) -m pytest

bench:
	$(PYTHON) -m bench

clean:
	rm -rf build dist *.egg-info .venv-test .mypy_cache .ruff_cache .pytest_cache .hypothesis
