"""Runs all benchmarks, or those named: `python3 -m bench messages`."""

import importlib
import pathlib
import sys


def main() -> None:
    here = pathlib.Path(__file__).parent
    names = sys.argv[1:] or sorted(path.stem[len("bench_") :] for path in here.glob("bench_*.py"))
    for name in names:
        print(f"== {name}", flush=True)
        importlib.import_module(f"bench.bench_{name}").main()


if __name__ == "__main__":
    main()
