"""Every path below ``results/<name>``, in one place. These names are a contract."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Paths:
    """Path patterns of one run; braces are Snakemake wildcards."""

    name: str

    @property
    def root(self) -> str:
        """Folder of the run."""
        return f"results/{self.name}"

    def __call__(self, relative: str) -> str:
        """A path below the run's folder."""
        return f"{self.root}/{relative}"

    def log(self, relative: str) -> str:
        """A log file."""
        return self(f"logs/{relative}.log")

    def benchmark(self, relative: str) -> str:
        """A Snakemake benchmark table."""
        return self(f"benchmarks/{relative}.tsv")
