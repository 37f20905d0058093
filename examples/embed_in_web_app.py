"""A flow inside an async web app: requests go into an inbox, are scored in micro-batches, and each gets its answer.

Run as a script it calls itself, without a socket. To serve: `uvicorn embed_in_web_app:app`.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import streamflow as sf

inbox = sf.inbox(1000)
batches: list[int] = []


def score(texts: list[str]) -> list[float]:
    """Stand for a model that is much faster on many texts at once."""
    batches.append(len(texts))
    return [len(set(text)) / max(len(text), 1) for text in texts]


flow = sf.flow(inbox).batch(64, within=0.005).map(score).unbatch().to(inbox.answers)


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    """Run the flow as long as the app lives; drain it when the app ends."""
    async with flow.start() as run:
        yield
        await run.drain(timeout=10)


async def rate(request: Request) -> JSONResponse:
    text = (await request.body()).decode()
    try:
        return JSONResponse({"score": await asyncio.wait_for(inbox.ask(text), timeout=5)})
    except sf.InboxClosed:
        return JSONResponse({"error": "shutting down"}, status_code=503)


app = Starlette(routes=[Route("/rate", rate, methods=["POST"])], lifespan=lifespan)


async def main() -> None:
    import httpx

    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
            texts = ["a" * n + "bc" for n in range(200)]
            answers = await asyncio.gather(*(client.post("/rate", content=text) for text in texts))
    scores = [answer.json()["score"] for answer in answers]
    assert scores == [len(set(text)) / len(text) for text in texts], "each request got its own answer"
    print(f"{len(scores)} requests answered in {len(batches)} batches, the largest of {max(batches)}")


if __name__ == "__main__":
    asyncio.run(main())
