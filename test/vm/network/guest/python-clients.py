"""Clients of Python's libraries, each of which asks servers in turn and prints what came of it. Arguments: which one, and URLs or hosts."""
import asyncio
import hashlib
import os
import queue
import sys
import time

KEY = "Bearer " + os.environ["API_KEY"]
fields = {"Authorization": KEY}


def tell(*what):
    print(*what, flush=True)


def by_httpx(*urls):
    import httpx

    with httpx.Client(http2=True, headers=fields) as client:
        for url in urls:
            try:
                answer = client.get(url)
                tell(answer.http_version, answer.text.strip())
            except httpx.TransportError:
                tell("failed")


def by_aiohttp(*urls):
    import aiohttp

    async def ask():
        async with aiohttp.ClientSession(headers=fields) as session:
            for url in urls:
                try:
                    async with session.get(url) as answer:
                        tell((await answer.text()).strip())
                except aiohttp.ClientError:
                    tell("failed")

    asyncio.run(ask())


def by_grpc(*channels):
    """Channels: tls or plain, the variable that has the key, and a host and its port, joined by commas."""
    import grpc

    def calls(channel, metadata):
        options = {"metadata": metadata, "timeout": 60}
        once = channel.unary_unary("/test.Echo/Once")
        large = os.urandom(1 << 20)
        answer, call = once.with_call(large, **options)
        yield "one" if answer == large else "another", dict(call.trailing_metadata())["x-trailer"]
        yield "many", b"".join(channel.unary_stream("/test.Echo/Many")(b"x", **options)).decode()
        parts = [os.urandom(1 << 16) for _ in range(8)]
        total = channel.stream_unary("/test.Echo/Sum")(iter(parts), **options)
        yield "sum", total.decode() == hashlib.sha256(b"".join(parts)).hexdigest()
        # Each word waits for the answer to the one before.
        heard = []
        answered = queue.SimpleQueue()

        def words():
            for number in range(4):
                yield str(number).encode()
                heard.append(answered.get(timeout=60))

        for reply in channel.stream_stream("/test.Echo/Talk")(words(), **options):
            answered.put(reply.decode())
        yield "talk", ",".join(heard)
        try:
            channel.unary_unary("/test.Echo/Fail")(b"quota", **options)
        except grpc.RpcError as error:
            yield error.code().name, error.details()

    for kind, variable, target in (channel.split(",") for channel in channels):
        if kind == "tls":
            channel = grpc.secure_channel(target, grpc.ssl_channel_credentials())
        else:
            channel = grpc.insecure_channel(target)
        with channel:
            if variable == "HEARD":
                tell(channel.unary_unary("/test.Echo/Heard")(b"", timeout=60).decode())
                continue
            try:
                for told in calls(channel, (("authorization", "Bearer " + os.environ[variable]),)):
                    tell(*told)
            except grpc.RpcError as error:
                tell(error.code().name)


def by_websockets(url, other, seconds):
    """A MiB each way at once, then nothing for so long, then a little more."""
    import websockets

    async def talk():
        options = {"extra_headers": fields, "max_size": None, "ping_interval": None}
        async with websockets.connect(url, **options) as socket:
            frames = [os.urandom(1 << 20) for _ in range(2)]
            for frame in frames:
                await socket.send(frame)
            tell("same" if [await socket.recv() for _ in frames] == frames else "different")
            await socket.send("text " * 4)
            tell((await socket.recv()).strip())
            await (await socket.ping())
            began = time.monotonic()
            await asyncio.sleep(float(seconds))
            await socket.send("still there")
            tell(await socket.recv())
        tell(socket.close_code, time.monotonic() - began >= float(seconds))
        try:
            async with websockets.connect(other, **options):
                tell("connected")
        except (OSError, websockets.exceptions.WebSocketException):
            tell("failed")

    asyncio.run(talk())


globals()["by_" + sys.argv[1]](*sys.argv[2:])
