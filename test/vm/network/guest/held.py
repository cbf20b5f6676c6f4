"""Connections that stay open: python3 held.py ADDRESS... says "open" once all are, then one line for each when it ends."""
import asyncio, sys


async def hold(address):
    reader, writer = await asyncio.open_connection(address, 7)
    writer.write(b"x")
    await reader.readexactly(1)
    return address, reader, writer


async def watch(address, reader, writer):
    try:
        while True:
            await asyncio.sleep(0.1)
            writer.write(b"x")
            if await reader.read(1) == b"":
                break
    except ConnectionError:
        pass
    print("ended", address, flush=True)


async def main():
    all_open = [await hold(address) for address in sys.argv[1:]]
    print("open", flush=True)
    await asyncio.gather(*(watch(*one) for one in all_open))


asyncio.run(main())
