# What CI runs, by name. Needs the extras [test,lint] of setup.py, as pinned in tests/constraints/newest.txt.

PYTHON ?= python3
CODE = apel ssm apelcommon setup.py $(wildcard bin/* runtests)
ALL = $(CODE) tests $(wildcard bench)

.PHONY: check lint format test bench clean

check: lint test

lint:
	$(PYTHON) -m ruff format --check $(ALL)
	$(PYTHON) -m ruff check $(ALL)
	$(PYTHON) -m mypy
	$(PYTHON) -m vermin --target=3.6- --violations --no-tips --eval-annotations --quiet $(CODE)

format:
	$(PYTHON) -m ruff format $(ALL)
	$(PYTHON) -m ruff check --fix $(ALL)

test:
	$(PYTHON) -m pytest

bench:
	$(PYTHON) -m bench

clean:
	rm -rf build dist *.egg-info .venv-test .mypy_cache .ruff_cache .pytest_cache .hypothesis
