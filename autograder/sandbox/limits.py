"""What one submission may use, and the rlimits that hold it to that."""

import resource
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Limits:
    """Amounts for one submission as a whole. Wall time is the caller's: it holds the process."""

    cpu_seconds: int = 120
    """CPU time of each process, in seconds; past it the kernel kills."""
    memory_bytes: int = 2 * 2**30
    """Address space of each process beyond what the warm interpreter had mapped already; with
    control groups also what all of them may hold, see `together`."""
    processes: int = 64
    """Processes and threads together."""
    file_bytes: int = 64 * 2**20
    """Size of one file."""
    home_bytes: int = 64 * 2**20
    """Size of the file system that holds the home and /tmp."""
    open_files: int = 256
    """Descriptors of one process."""


def mapped_bytes() -> int:
    """Return the address space that this process has mapped now."""
    pages = int(Path("/proc/self/statm").read_bytes().split()[0])
    return pages * resource.getpagesize()


def together(limits: Limits, mapped: int) -> int:
    """Return how much memory all processes of one submission may hold together.

    As much as one of them can by its address space and a full home: one alone meets its own limit
    first, which is a MemoryError, and the pages that it shares with the warm interpreter, which
    are not counted here, are a margin for what the kernel keeps for it.
    """
    return mapped + limits.memory_bytes + limits.home_bytes


def apply(limits: Limits, mapped: int) -> None:
    """Set the limits, hard ones too, so that nothing inside can raise them again.

    `mapped` is what the warm interpreter had mapped: torch alone takes over half a gigabyte of
    addresses that the student did not ask for.
    """
    amounts = {
        resource.RLIMIT_CPU: limits.cpu_seconds,
        resource.RLIMIT_AS: mapped + limits.memory_bytes,
        resource.RLIMIT_NPROC: limits.processes,
        resource.RLIMIT_FSIZE: limits.file_bytes,
        resource.RLIMIT_NOFILE: limits.open_files,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MSGQUEUE: 0,
        # What whoever grades may have been given: to go before others, to fill a queue of its user.
        resource.RLIMIT_NICE: 0,
        resource.RLIMIT_RTPRIO: 0,
        resource.RLIMIT_SIGPENDING: 1024,
    }
    for kind, wanted in amounts.items():
        hard = resource.getrlimit(kind)[1]  # a machine may allow less than we want to give
        amount = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (amount, amount))
