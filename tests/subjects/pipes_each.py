# Starts a child with three pipes for each connection once it has accepted all that wait, and says so: four descriptors each, and some
# more for a moment. Whoever there is no room for is closed.
import asyncio
import sys


async def serve(reader, writer):
    pipe = asyncio.subprocess.PIPE
    try:
        child = await asyncio.create_subprocess_exec("cat", stdin=pipe, stdout=pipe, stderr=pipe)
    except OSError:
        writer.close()
        return
    writer.write(b"220 ready\r\n")
    while await reader.read(1024):
        pass
    child.stdin.close()
    await child.wait()
    writer.close()


async def listen(port):
    async with await asyncio.start_server(serve, "127.0.0.1", port, backlog=512) as server:
        await server.serve_forever()


asyncio.run(listen(int(sys.argv[1])))
