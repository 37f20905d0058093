"""Arrays through two steps in worker processes: they cross once, by shared memory, and come back as views of it."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

import streamflow as sf

Image = npt.NDArray[np.float32]
SIDE, COUNT = 512, 100  # float32: 1 MiB an image


def images() -> Iterator[Image]:
    rows, columns = np.mgrid[0:SIDE, 0:SIDE].astype(np.float32)
    for n in range(COUNT):
        yield np.sin(rows / (n + 5)) * np.cos(columns / (n + 5))


def smooth(image: Image) -> Image:
    """Take the mean of each pixel and its four neighbours."""
    around = image.copy()
    for axis in (0, 1):
        around += np.roll(image, 1, axis) + np.roll(image, -1, axis)
    return around / np.float32(5)


def edges(image: Image) -> Image:
    """Return how steep it is at each pixel; what `smooth` made never leaves the worker."""
    down, across = np.gradient(image)
    steepness: Image = np.hypot(down, across)
    return steepness


def main() -> None:
    workers = sf.processes(2)  # equal descriptions are one pool, and neighbours on it cross together
    flow = sf.flow(images).map(smooth, on=workers).map(edges, on=workers)
    print(flow.explain())

    kept: list[Image] = []
    strengths: list[float] = []
    for n, found in enumerate(flow):
        strengths.append(float(found.mean()))
        if n % 25 == 0:
            kept.append(found)  # a view of the worker's memory: no other array gets its place while it is referred to
    assert not kept[0].flags.owndata
    assert all(np.array_equal(one, edges(smooth(image))) for one, image in zip(kept, list(images())[::25], strict=True))
    print(
        f"{len(strengths)} images of 1 MiB each way, {len(kept)} kept and still right; steepest: {np.argmax(strengths)}"
    )


if __name__ == "__main__":
    main()
