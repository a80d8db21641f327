"""Calls a URL with a library, naively or with one client for all calls: python.py LIBRARY URL CALLS per-call|shared"""
import asyncio
import sys

library, url, calls, way = sys.argv[1], sys.argv[2], range(int(sys.argv[3])), sys.argv[4]

if library == "requests":
    import requests

    get = requests.get if way == "per-call" else requests.Session().get
    for _ in calls:
        assert get(url).text
elif library == "httpx":
    import httpx

    get = httpx.get if way == "per-call" else httpx.Client().get
    for _ in calls:
        assert get(url).text
elif library == "aiohttp":
    import aiohttp

    async def one(session):
        async with session.get(url) as response:
            assert await response.text()

    async def per_call():
        for _ in calls:
            async with aiohttp.ClientSession() as session:
                await one(session)

    async def shared():
        async with aiohttp.ClientSession() as session:
            for _ in calls:
                await one(session)

    asyncio.run(per_call() if way == "per-call" else shared())
else:
    sys.exit(f"no library {library}")
