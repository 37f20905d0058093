"""Very uneven work on threads: whoever is idle takes the next share, and shares shrink, so that nobody waits for long.

Passwords of two ages: most were hashed with few rounds, some with a hundred times as many. hashlib lets go of the GIL.
"""

import hashlib
import time
from typing import NamedTuple

import streamflow as sf

FEW, MANY = 1_000, 100_000


class Login(NamedTuple):
    user: int
    password: bytes
    rounds: int


def key_of(login: Login) -> tuple[int, float]:
    """Derive the key; return the user and how long it took."""
    began = time.perf_counter()
    hashlib.pbkdf2_hmac("sha256", login.password, b"salt %d" % login.user, login.rounds)
    return login.user, time.perf_counter() - began


def logins() -> list[Login]:
    # The long ones come in a row: cutting the list in two halves would leave one thread with nearly all the work.
    return [Login(n, b"secret %d" % n, MANY if 100 <= n < 112 else FEW) for n in range(400)]


def main() -> None:
    flow = sf.flow(logins()).map(key_of, on=sf.threads(2))
    results: list[tuple[int, float]] = []
    began = time.perf_counter()
    report = flow.to(results).run_sync()
    elapsed = time.perf_counter() - began
    work = sum(seconds for _, seconds in results)
    in_order = [user for user, _ in results] == list(range(400))
    print(f"{len(results)} logins, in order: {in_order}; the longest took {max(s for _, s in results) * 1e3:.0f} ms")
    print(f"{elapsed:.2f} s for {work:.2f} s of work; two threads need {work / 2:.2f} s at least")
    print(report.bottleneck)


if __name__ == "__main__":
    main()
