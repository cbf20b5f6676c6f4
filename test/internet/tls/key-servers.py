"""
Servers of gRPC, with TLS and without, and of WebSockets, for whoever brings a key. Arguments: the three ports; the environment has the key.
"""
import asyncio
import collections
import hashlib
import json
import os
import ssl
import sys
from concurrent import futures

import grpc
import websockets

wanted = "Bearer " + os.environ["KEY"]
CERTIFICATE, KEY = "/srv/servers.pem", "/srv/servers.key"
heard = collections.Counter()


def is_wanted(got):
    heard["key" if got == wanted else "none" if got is None else "other"] += 1
    return got == wanted


class Echo(grpc.GenericRpcHandler):
    def service(self, details):
        metadata = dict(details.invocation_metadata)

        def checked(method):
            def call(argument, context):
                if not is_wanted(metadata.get("authorization")):
                    context.abort(grpc.StatusCode.UNAUTHENTICATED, "another key")
                context.set_trailing_metadata((("x-trailer", "last"),))
                return method(argument, context)

            return call

        def fail(request, context):
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no more " + request.decode())

        return {
            "/test.Echo/Once": grpc.unary_unary_rpc_method_handler(checked(lambda request, _: request)),
            "/test.Echo/Fail": grpc.unary_unary_rpc_method_handler(checked(fail)),
            "/test.Echo/Many": grpc.unary_stream_rpc_method_handler(
                checked(lambda request, _: (request for _ in range(5)))
            ),
            "/test.Echo/Sum": grpc.stream_unary_rpc_method_handler(
                checked(lambda requests, _: hashlib.sha256(b"".join(requests)).hexdigest().encode())
            ),
            "/test.Echo/Talk": grpc.stream_stream_rpc_method_handler(
                checked(lambda requests, _: (b"re: " + request for request in requests))
            ),
            # Since it was asked last; this call is not counted.
            "/test.Echo/Heard": grpc.unary_unary_rpc_method_handler(lambda _, context: take_heard()),
        }.get(details.method)


def take_heard():
    told = json.dumps(heard, sort_keys=True).encode()
    heard.clear()
    return told


async def echo(connection, path):
    async for message in connection:
        await connection.send(message)


async def check(path, headers):
    return None if is_wanted(headers.get("Authorization")) else (401, [], b"another key\n")


async def serve_websockets(port):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE, KEY)
    options = {"ssl": context, "process_request": check, "max_size": None, "ping_interval": None}
    async with websockets.serve(echo, None, port, **options):
        print("serves", flush=True)
        await asyncio.Future()


secure, plain, sockets = sys.argv[1:]
server = grpc.server(futures.ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", 1 << 24)])
server.add_generic_rpc_handlers((Echo(),))
with open(KEY, "rb") as key, open(CERTIFICATE, "rb") as certificate:
    credentials = grpc.ssl_server_credentials([(key.read(), certificate.read())])
server.add_secure_port(f"[::]:{secure}", credentials)
server.add_insecure_port(f"[::]:{plain}")
server.start()
asyncio.run(serve_websockets(int(sockets)))
