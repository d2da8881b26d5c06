"""The replicas of one fit: placed where the partitions are, called together, made anew if lost.

Dask computes and keeps the partitions, and knows which workers live. Calls go from the client to
each worker directly, one for each worker and step: by way of the scheduler a step of a small
network would take three times as long. Nobody waits for a peer, so nothing hangs if a worker dies:
its partitions are computed again elsewhere, and the call that failed is made once more.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from .. import cpu
from ..estimators.model import Model
from ..exceptions import warn
from .environment import check_environment, environment
from .messages import packed, unpacked
from .partitions import Reading, Summary, read_partition
from .replica import Replica, Setup

_WATCH = 2.0  # seconds of silence after which the scheduler is asked whether a worker still lives
_PATIENCE = 30.0  # seconds to wait for a worker, after the last one was lost
_PAUSE = 0.05  # seconds between two looks at where partitions are
_CLOSING = "cannot schedule new futures after shutdown"  # what a worker that is closed answers
_ATTEMPTS = 5  # of one call, each after another worker was lost
_READINGS = 3  # of one partition, as it may be what the workers die of


class _LostError(Exception):
    """Workers do not answer any more; the arguments are their addresses."""


class Replicas:
    """Replicas of a network that hold all partitions between them, a context.

    Parameters
    ----------
    client : distributed.Client
        Of the cluster.
    blocks : list of Delayed or Future
        The partitions of X.
    reading : Reading
        How to read them.
    threads : int or None
        Threads of each replica; None: those of its worker.
    """

    def __init__(
        self, client: Any, blocks: list[Any], reading: Reading, threads: int | None
    ) -> None:
        self.n_partitions = len(blocks)
        self._reading = reading
        self._client = client
        self._blocks = blocks
        self._threads = threads
        self._setup: Setup = []
        self._futures: dict[int, Any] = {}
        self._near: dict[int, str | None] = {}  # the worker that is to read each partition
        self._readings: Counter[int] = Counter()  # of each partition since it last had a replica
        # By partition the worker's address and the replica's key.
        self._homes: dict[int, tuple[str, str]] = {}
        self._actors: dict[str, Any] = {}  # futures, which keep the replicas alive
        self._gone: set[str] = set()  # addresses of lost workers
        self._checked: set[str] = set()  # addresses of workers whose versions are known
        self._computed = time.monotonic()  # when a worker was seen that computes

    def __enter__(self) -> Replicas:
        """Read the partitions, each near to its neighbours, and place the replicas."""
        try:
            self._let_grow()
            addresses = check_environment(self._client)
            while not addresses:  # all were lost before they could answer
                time.sleep(_PAUSE)
                addresses = check_environment(self._client, sorted(self._check_computing()))
            self._checked.update(addresses)
            self._read(list(range(self.n_partitions)), addresses)
            self._place()
            self._warn_of_idle(len(addresses))
        except BaseException:
            self.__exit__()
            raise
        return self

    def _let_grow(self) -> None:
        """Wait for a first worker of a cluster that adapts: it starts one for a task that waits."""
        if getattr(self._client.cluster, "_adaptive", None) is None or self._client.nthreads():
            return
        task = self._client.submit(environment, pure=False)
        while not self._check_computing():
            time.sleep(_PAUSE)
        task.release()

    def _read(self, numbers: list[int], addresses: list[str]) -> None:
        """Let workers read partitions, as many at a time as they have threads.

        Dask would compute several ahead, and partitions may be as large as memory allows.
        """
        P = self.n_partitions
        delayed = cpu.once.imported("dask").delayed(read_partition, pure=False, traverse=False)
        futures_of = cpu.once.imported("distributed").client.futures_of
        share = -(-P // len(addresses))
        threads = sum(self._client.nthreads(addresses).values()) or 1
        for number in sorted(numbers, key=lambda number: number % share):  # by turns
            reading = [self._futures[other] for other in numbers if other in self._futures]
            while len(pending := [f for f in reading if f.status == "pending"]) >= threads:
                self._wait(pending, "FIRST_COMPLETED")
                if not self._check_computing().issuperset(addresses):
                    break  # none may be left that could complete
            self._readings[number] += 1
            if self._readings[number] > _READINGS:
                raise RuntimeError(
                    f"Partition {number} of X must be readable, got {_READINGS} losses of workers "
                    f"that were to read it, the last one of {self._near[number]}. Look at their "
                    "logs, cut X into smaller partitions, or give workers more memory."
                )
            block = self._blocks[number]
            # What is on a worker already stays there. For others a worker is preferred; if it is
            # lost, dask may wait for it all the same: they are read anew.
            near = None if futures_of(block) else addresses[number * len(addresses) // P]
            self._near[number] = near
            self._futures[number] = self._client.compute(
                delayed(block, number, self._reading, share),
                workers=near,
                allow_other_workers=near is not None,
            )

    def __exit__(self, *details: object) -> None:
        """Let go of everything on the cluster."""
        self._homes.clear()
        # By name: the traceback of an error would keep them.
        for future in (*self._actors.values(), *self._futures.values()):
            future.release()
        self._actors.clear()
        self._futures.clear()

    def _warn_of_idle(self, workers: int) -> None:
        """Warn of workers that hold no partition, so that a fit is not slow without a word."""
        used = len({address for address, _ in self._homes.values()})
        if used < workers:
            warn(
                UserWarning,
                f"{used} of {workers} workers hold the {self.n_partitions} partition(s), the "
                "others stay idle. Cut the data into more partitions, or rebalance them.",
            )

    # -- calls ------------------------------------------------------------------------------------

    def establish(self, method: str, *arguments: Any) -> dict[int, Any]:
        """Call a method for all partitions, and again of every replica that is made later."""
        found = self.call(method, dict.fromkeys(range(self.n_partitions)), *arguments)
        self._setup.append((method, arguments))
        return found

    def summaries(self) -> dict[int, Summary]:
        """Return a summary of each partition that is not empty."""
        return self.call("summaries", dict.fromkeys(range(self.n_partitions)))

    def prepare(self, model: Model, batch_size: int) -> None:
        """Let every replica make the network of a model, and encode its sequences."""
        network = model.network
        how = model.form, model.architecture, network.standardization
        self.establish("prepare", *how, batch_size, self.n_partitions)

    def call(self, method: str, by_partition: dict[int, Any], *arguments: Any) -> dict[int, Any]:
        """Call a method that returns a dict by partition; return all results, in order."""
        parts = self.gather(method, by_partition, *arguments)
        found = {number: result for part in parts for number, result in part.items()}
        return dict(sorted(found.items()))

    def gather(self, method: str, by_partition: dict[int, Any], *arguments: Any) -> list[Any]:
        """Call a method of each replica that holds one of some partitions.

        Parameters
        ----------
        method : str
            Name of the method.
        by_partition : dict of int to object
            The first argument, of which each replica gets the entries of its partitions.
        *arguments : object
            Further arguments, the same for all.

        Returns
        -------
        list
            Result of each replica.

        Raises
        ------
        RuntimeError
            If the cluster is lost, or one worker after another.
        """
        for _ in range(_ATTEMPTS):
            calls: dict[tuple[str, str], dict[int, Any]] = {}
            for number, argument in by_partition.items():
                calls.setdefault(self._homes[number], {})[number] = argument
            try:
                return list(self._sync(self._all, method, calls, arguments))
            except _LostError as error:
                self._replace(error.args)
        raise RuntimeError(
            f"The workers must stay alive, got {_ATTEMPTS} losses in the same step, the last ones "
            f"of {sorted(self._gone)}. Look at their logs, and give them more memory."
        )

    def _sync(self, function: Any, *arguments: Any, **named: Any) -> Any:
        """Run a coroutine in the client's loop and return its result."""
        if self._client.status != "running":
            raise RuntimeError(
                f"client must stay connected during a fit, got one that is {self._client.status}. "
                "Fit again with a new client."
            )
        return self._client.sync(function, *arguments, **named)

    async def _all(
        self, method: str, calls: dict[tuple[str, str], Any], arguments: Iterable[Any]
    ) -> list[Any]:
        """Call all replicas at once; raise the first error, or _LostError."""
        tasks = {
            asyncio.ensure_future(self._one(*home, method, [argument, *arguments])): home[0]
            for home, argument in calls.items()
        }
        waiting = set(tasks)
        try:
            while waiting:
                done, waiting = await asyncio.wait(
                    waiting, timeout=_WATCH, return_when=asyncio.FIRST_EXCEPTION
                )
                # Of all, as asyncio warns of those that nobody has looked at.
                errors = [error for task in done if (error := task.exception())]
                if errors:
                    raise errors[0]
                if not done:
                    known = await self._alive()
                    silent = [tasks[task] for task in waiting if tasks[task] not in known]
                    if silent:
                        raise _LostError(*silent)
        finally:
            for task in waiting:
                task.cancel()
        return [task.result() for task in tasks]

    async def _one(self, address: str, key: str, method: str, arguments: list[Any]) -> Any:
        """Call one replica."""
        to_serialize = cpu.once.imported("distributed.protocol").to_serialize
        data, *buffers = packed(arguments)  # these bytes need not be serialised again
        try:
            answer = await self._client.rpc(address).actor_execute(
                function="answer",
                actor=key,
                args=[method, data, *map(to_serialize, buffers)],
                kwargs={},
            )
        except (OSError, KeyError) as error:  # no connection, or a worker that was restarted
            raise _LostError(address) from error
        if answer["status"] != "OK":
            failure = answer["exception"]
            raise _LostError(address) if _CLOSING in str(failure) else failure
        return unpacked(answer["result"])

    async def _alive(self) -> set[str]:
        """Return the addresses of the workers that the scheduler knows."""
        identity = await self._client.scheduler.identity()
        return set(identity["workers"])

    # -- places -----------------------------------------------------------------------------------

    def _place(self) -> None:
        """Make replicas for all partitions that have none, where they are held."""
        self._computed = time.monotonic()
        homeless = [n for n in range(self.n_partitions) if n not in self._homes]
        while homeless:
            places = self._places(homeless)
            if new := sorted(places.keys() - self._checked):
                check_environment(self._client, new)
                self._checked.update(new)
            made = {
                address: self._client.submit(
                    Replica,
                    {number: self._futures[number] for number in numbers},
                    self._threads,
                    self._setup,
                    actor=True,
                    workers=[address],
                    pure=False,
                )
                for address, numbers in places.items()
            }
            for address, actor in made.items():
                while actor.status == "pending" and address in self._sync(self._alive):
                    self._wait(actor)
                self._actors[actor.key] = actor
                if actor.status == "error":
                    raise actor.exception()
                if actor.status != "finished":
                    self._gone.add(address)
                    self._drop(actor.key)
                    continue
                for number in places[address]:
                    self._homes[number] = address, actor.key
                    self._readings[number] = 0
            homeless = [n for n in homeless if n not in self._homes]

    def _places(self, numbers: list[int]) -> dict[str, list[int]]:
        """Wait until partitions are computed; return those that each living worker holds."""
        while True:
            futures = [self._futures[number] for number in numbers]
            self._wait(futures)
            cancelled = self._cancelled(numbers)
            alive = self._check_computing()
            stranded = [
                number
                for number, future in zip(numbers, futures, strict=True)
                if number in cancelled
                or (future.status != "finished" and self._near[number] not in (None, *alive))
            ]
            if stranded and alive:
                for number in stranded:
                    self._futures.pop(number).release()
                self._read(stranded, sorted(alive))
                continue
            holders = self._client.who_has(futures)
            places: dict[str, list[int]] = {}
            for number, future in zip(numbers, futures, strict=True):
                living = sorted(alive.intersection(holders.get(future.key, ())))
                if not living:
                    break
                places.setdefault(living[0], []).append(number)
            else:
                return places
            time.sleep(_PAUSE)

    def _check_computing(self) -> set[str]:
        """Return the addresses of the workers; raise if none has computed for a while."""
        identity = self._sync(self._client.scheduler.identity)
        status = {address: info["status"] for address, info in identity["workers"].items()}
        now = time.monotonic()
        if "running" in status.values():
            self._computed = now
        elif now > self._computed + _PATIENCE:
            memory = " They are above their limits of memory: cut X into smaller partitions."
            raise RuntimeError(
                f"The cluster must have a worker that computes, got {status or 'none'} for "
                f"{_PATIENCE:g} seconds; lost were {sorted(self._gone) or 'none'}. Start workers "
                f"and fit again.{memory if 'paused' in status.values() else ''}"
            )
        return set(status)

    def _wait(self, futures: Any, return_when: str = "ALL_COMPLETED") -> None:
        """Wait for futures, but not long."""
        distributed = cpu.once.imported("distributed")
        lost = (TimeoutError, distributed.client.FuturesCancelledError)
        with self._client.as_current(), suppress(*lost):
            distributed.wait(futures, timeout=_WATCH, return_when=return_when)

    def _cancelled(self, numbers: list[int]) -> set[int]:
        """Return the partitions that dask has forgotten, as after ``client.restart()``.

        Raise the error of one that cannot be computed.
        """
        keys = {self._futures[number].key: number for number in numbers}
        futures_of = cpu.once.imported("distributed").client.futures_of
        # A future may count as lost while its partition is computed again.
        states = self._sync(self._client.scheduler.get_task_status, keys=list(keys))
        cancelled = {keys[key] for key in keys if states[key] in (None, "forgotten")}
        for number in numbers:
            future = self._futures[number]
            if future.status == "error":
                error = future.exception()
                error.add_note(f"Partition {number} of X could not be read.")
                raise error
            if number in cancelled and futures_of(self._blocks[number]):
                raise RuntimeError(
                    f"Partition {number} of X must be there or computable, got one that was lost "
                    f"with {sorted(self._gone) or 'its worker'}. Pass a dask.array or Delayed, "
                    "which are computed again, instead of data that were scattered or persisted."
                )
        return cancelled

    def _replace(self, addresses: Iterable[str]) -> None:
        """Make replicas in the place of those of lost workers."""
        self._gone.update(addresses)
        for number, (address, key) in list(self._homes.items()):
            if address in self._gone:
                del self._homes[number]
                self._drop(key)
        self._place()

    def _drop(self, key: str) -> None:
        """Let go of the replica of a lost worker.

        If it were kept, dask would keep the partitions waiting for that worker, too.
        """
        actor = self._actors.pop(key, None)
        if actor is not None:
            actor.release()
