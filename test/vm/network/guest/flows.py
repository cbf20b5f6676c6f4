"""Many connections to an echo server: python3 flows.py short COUNT | open COUNT."""
import asyncio, sys

how, count = sys.argv[1], int(sys.argv[2])


async def one(number, wait=None):
    reader, writer = await asyncio.open_connection("93.184.216.34", 7)
    writer.write(b"%d" % number)
    if wait is None:
        writer.write_eof()
        good = await reader.read(-1) == b"%d" % number
    else:
        good = await reader.readexactly(len(str(number))) == b"%d" % number
        wait[0] -= 1
        if wait[0] == 0:
            print("open", flush=True)
        try:
            await reader.read(-1)
        except ConnectionError:
            pass
    writer.close()
    return good


async def short():
    done = 0
    while done < count:
        some = min(32, count - done)
        done += sum(await asyncio.gather(*(one(done + each) for each in range(some))))
    print(done)


async def open_all():
    left = [count]
    await asyncio.gather(*(one(each, left) for each in range(count)))
    print("all ended")


asyncio.run(short() if how == "short" else open_all())
