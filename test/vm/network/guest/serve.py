"""Servers in the guest: TCP 7 and UDP 7 send back what they get, TCP 9 answers only once the client's side has ended, TCP 13 says who comes."""
import asyncio, resource, socket


async def echo(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def after_end(reader, writer):
    got = await reader.read(-1)
    writer.write(b"%d after your end" % len(got))
    writer.close()


async def who(reader, writer):
    writer.write(repr(writer.get_extra_info("peername")[0]).encode())
    writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, peer):
        self.transport.sendto(data, peer)


# A connection is a descriptor.
resource.setrlimit(resource.RLIMIT_NOFILE, (16384, 16384))


async def main():
    for port, serve in ((7, echo), (9, after_end), (13, who)):
        await asyncio.start_server(serve, None, port, backlog=4096)
    loop = asyncio.get_running_loop()
    for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        one = socket.socket(family, socket.SOCK_DGRAM)
        if family == socket.AF_INET6:
            one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        one.bind((host, 7))
        await loop.create_datagram_endpoint(Datagrams, sock=one)
    print("serving", flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
