"""Who explores: processes of this machine, or a Dask cluster."""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Executor, Future, ProcessPoolExecutor
from typing import Any, TypeVar

import uemu
from uemu.cli.parser import UsageError, positive
from uemu.errors import HostError
from uemu.explore import FORMAT, Workers

T = TypeVar("T")

CONNECT_S = 10
"""So long a cluster may take to answer."""


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Give a command ``--jobs`` and ``--cluster``."""
    parser.add_argument(
        "--jobs",
        type=positive,
        metavar="N",
        help="search in N processes if it lasts (default: as many as there are CPUs to use);"
        " 1 is this process alone",
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="search on the workers of a Dask scheduler, as tcp://HOST:8786; they need this"
        " version of uemu",
    )


def make_workers(args: argparse.Namespace) -> Workers | None:
    """Whom ``--jobs`` and ``--cluster`` ask for; None is this process alone.

    Raises:
        UsageError: both were given.
        HostError: there is no such cluster.
    """
    if args.cluster is not None:
        if args.jobs is not None:
            raise UsageError("--jobs and --cluster are two answers to one question: give one")
        return on_cluster(args.cluster)
    return in_processes(args.jobs or usable_cpus())


def usable_cpus() -> int:
    """On how many CPUs this process may run."""
    return len(os.sched_getaffinity(0))


def in_processes(number: int) -> Workers | None:
    """Processes of this machine; None for one."""
    return None if number == 1 else Workers(lambda: Processes(number), number)


class Processes(ProcessPoolExecutor):
    """Processes that Ctrl-C does not reach, and that end with this one.

    Attributes:
        number: how many.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        # Not by fork: the progress bar has a thread.
        context = multiprocessing.get_context("spawn")
        try:
            super().__init__(number, mp_context=context, initializer=_end_with_parent)
        except (OSError, ImportError, NotImplementedError) as error:
            raise _cannot_start(number, error) from None

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run a call in one of them."""
        # They are started here, and inherit what is blocked, from their first
        # instruction on. Who interrupts us wants what they are about to report.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            return super().submit(fn, *args, **kwargs)
        except OSError as error:
            raise _cannot_start(self.number, error) from None
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def kill(self) -> None:
        """End them, whatever they are at."""
        for process in list((self._processes or {}).values()):
            process.kill()


def _cannot_start(number: int, error: Exception) -> HostError:
    return HostError(f"starting {number} processes", str(error), "--jobs 1 needs none.")


def _end_with_parent() -> None:
    """Exit when the parent does, however it ends."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def on_cluster(address: str) -> Workers:
    """The workers of a Dask scheduler.

    Raises:
        HostError: the package is missing, nobody answers, or nobody works there.
    """
    try:
        killed = importlib.import_module("distributed.scheduler").KilledWorker
    except ImportError:
        raise HostError(
            f"exploring on the cluster {address}",
            "the package distributed is not installed",
            "Install it with: pip install 'uemu[cluster]'.",
        ) from None
    with Cluster(address) as cluster:
        cluster.check_versions()
        number = cluster.number
    return Workers(lambda: Cluster(address), number, lost=(killed, CancelledError))


class Cluster(Executor):
    """A connection to a Dask scheduler.

    Attributes:
        what: what it is for.
        number: how many calls it runs at the same time.
    """

    def __init__(self, address: str) -> None:
        distributed: Any = importlib.import_module("distributed")
        self.what = what = f"exploring on the cluster {address}"
        try:
            self._client = distributed.Client(address, timeout=CONNECT_S, set_as_default=False)
        except (OSError, ValueError, TypeError) as error:
            why = str(error) or type(error).__name__
            remedy = "Is `dask scheduler` running there? An address is tcp://HOST:8786."
            raise HostError(what, why, remedy) from None
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        self.number = sum(worker["nthreads"] for worker in workers.values())
        if not self.number:
            self._client.close()
            remedy = f"Start some: dask worker {address}"
            raise HostError(what, "it has no workers", remedy)
        # Whose worker dies is run again elsewhere, by the scheduler, a few times.
        self._executor = self._client.get_executor(pure=False)

    def check_versions(self) -> None:
        """Check that each worker has the uemu that is here.

        Raises:
            HostError: one has another, or none.
        """
        remedy = "Install this one where they run."
        try:
            there = set(self._client.run(_versions).values())
        except Exception as error:  # whatever it was, it is the import that failed
            why = f"its workers cannot import uemu ({type(error).__name__}: {error})"
            raise HostError(self.what, why, remedy) from None
        if there != {_versions()}:
            have = ", ".join(sorted(there))
            why = f"its workers have {have}, and here is {_versions()}"
            raise HostError(self.what, why, remedy)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Run a call on one of the workers."""
        future: Future[T] = self._executor.submit(fn, *args, **kwargs)
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the connection; the workers stay."""
        self._executor.shutdown(wait=False)
        self._client.close()


def _versions() -> str:
    """What has to be the same here and there."""
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    return f"uemu {uemu.__version__} (schedules {FORMAT}) on Python {python}"
