# Prints a line for each packet that crosses the loopback device, as the one who sends it sees it: protocol, source, destination, port,
# TCP flags. It sees what was tried as well, where nobody listens.
import socket, sys

wire = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
wire.bind(("lo", 0))
print("watching", flush=True)
names = {1: "icmpv4", 6: "tcp", 17: "udp", 58: "icmpv6"}
while True:
    packet, (_, ether_type, kind, _, _) = wire.recvfrom(65600)
    if kind != socket.PACKET_OUTGOING:
        continue
    if ether_type == 0x0800:
        at, protocol = (packet[0] & 15) * 4, packet[9]
        source, target = (socket.inet_ntop(socket.AF_INET, packet[i : i + 4]) for i in (12, 16))
    elif ether_type == 0x86DD:
        at, protocol = 40, packet[6]
        source, target = (socket.inet_ntop(socket.AF_INET6, packet[i : i + 16]) for i in (8, 24))
    else:
        continue
    port = int.from_bytes(packet[at + 2 : at + 4], "big") if protocol in (6, 17) else packet[at]
    flags = packet[at + 13] if protocol == 6 else 0
    # Of TCP only what opens a connection.
    if protocol != 6 or flags & 0x12 == 0x02:
        print(names.get(protocol, protocol), source, target, port, flush=True)
