"""Peak memory of training multi-layer perceptrons, each version in a process of its own.

    python -m tests.benchmarks.memory [--rounds 3]

Of each process the peak resident set (ru_maxrss) is taken three times: when the libraries have been
imported and used once on two units, when the network and its data have been made, and when ten
updates have been done. The figures are the last two less the first.
"""

# A child's ru_maxrss begins with what its parent held, so the parent imports the least.
import argparse
import gc
import json
import resource
import statistics
import subprocess
import sys
from importlib.util import find_spec

NETWORKS = [((784, 256, 128, 10), 128), ((1024, 1024, 1024, 1024), 512)]
VERSIONS = {"eager": "", "compiled": "", "NumPy by hand": "", "PyTorch": "torch"}
UPDATES = 10


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the memory of multi-layer perceptrons.")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each version")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        name, network = arguments.child
        print(json.dumps(peaks(name, *NETWORKS[int(network)])))
        return
    print(f"Python {sys.version.split()[0]}; medians of {arguments.rounds} processes each\n")
    for i, (widths, batch) in enumerate(NETWORKS):
        title = f"{'-'.join(map(str, widths))}, batch {batch}, SGD"
        print(f"| {title:35} | imports | network and data | {UPDATES} updates |")
        print(f"|{'-' * 37}|{'-' * 9}|{'-' * 18}|{'-' * 12}|")
        for name, library in VERSIONS.items():
            if library and not find_spec(library):
                continue
            found = [measured(name, i) for _ in range(arguments.rounds)]
            imports, made, done = map(statistics.median, zip(*found, strict=True))
            print(f"| {name:35} | {imports:4.0f} MB ", end="")
            print(f"| {made - imports:13.1f} MB | {done - imports:7.1f} MB |", flush=True)
        print()


def measured(name: str, network: int) -> list[float]:
    """Return the peaks of a child process."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", "--child", name, str(network)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [float(peak) for peak in json.loads(output)]


def peaks(name: str, widths: tuple[int, ...], batch: int) -> list[float]:
    """Return the peaks of this process, in megabytes."""
    from tests.benchmarks import mlp

    def trained(widths: tuple[int, ...], batch: int) -> list[float]:
        step = mlp.step_of(name, *mlp.network(widths, batch))
        gc.collect()
        made = peak()
        for _ in range(UPDATES):
            step()
        return [made, peak()]

    return [trained((2, 2, 2), 2)[1], *trained(widths, batch)]


def peak() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6


if __name__ == "__main__":
    main()
