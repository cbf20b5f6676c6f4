"""Attacks on the network, python3 attacks.py NAME[:COUNT]..."""
import os, random, socket, struct, subprocess, sys
from frames import *

HOST4, HOST6 = "93.184.216.34", "2606:2800:220:1::34"
OTHER4, PRIVATE4, PRIVATE6, METADATA4 = "151.101.1.6", "10.20.30.40", "fd00:1::10", "169.254.169.254"
SYN, ACK, RST, FIN, PUSH = 2, 16, 4, 1, 8


def honest():
    """What is right arrives: whoever sees nothing else has looked at the right place."""
    send_udp(HOST4, b"honest 4")
    send_udp(HOST6, b"honest 6")


def spoofed_addresses():
    for each in ("10.9.9.9", GATEWAY4, "127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", HOST4, "8.8.8.8"):
        send_udp(HOST4, b"spoofed " + each.encode(), source=each)
    for each in ("fd00::9", GATEWAY6, "::1", "::", "ff02::1", HOST6, f"::ffff:{OWN4}", "fe80::1"):
        send_udp(HOST6, b"spoofed " + each.encode(), source=each)


def spoofed_macs():
    for each in (b"\2\0\0\0\0\1", GATEWAY_MAC, b"\xff" * 6, b"\0" * 6, b"\1\0\x5e\0\0\1"):
        send_udp(HOST4, b"spoofed " + each.hex().encode(), mac_source=each)


def misdirected():
    """To an address on the link that is not the gateway's."""
    send_udp(HOST4, b"misdirected", mac_target=b"\2\0\0\0\0\1")


def neighbour_floods():
    """Claims every address on the link, the gateway's first."""
    for number in range(4000):
        sender = os.urandom(6)
        address = GATEWAY4 if number % 2 else socket.inet_ntop(socket.AF_INET, os.urandom(4))
        wire.send(ethernet(arp(1 + number % 2, sender, address, GATEWAY_MAC, OWN4), ARP, b"\xff" * 6 if number % 3 else None, OWN_MAC if number % 5 else sender))
        claimed = GATEWAY6 if number % 2 else socket.inet_ntop(socket.AF_INET6, os.urandom(16))
        rest = struct.pack("!I", 0xE0000000) + packed(claimed) + b"\2\1" + sender
        target = "ff02::1" if number % 3 else GATEWAY6
        wire.send(ethernet(ipv6(OWN6, target, ICMP6, icmp(136, 0, rest, OWN6, target), limit=255), IPV6))


def fragments():
    """Whole ones first: they arrive as one datagram. Then such as overlap, go past the end, or never end."""
    def pieces(number, *parts, target=HOST4):
        for at, data, more in parts:
            send4(target, UDP, data, number=number, fragment=at // 8 | (0x2000 if more else 0))

    good = udp(OWN4, HOST4, 4000, 7, b"whole " + b"w" * 2002)
    pieces(10, (0, good[:1024], True), (1024, good[1024:], False))
    pieces(11, (1024, good[1024:].replace(b"w", b"v"), False), (0, udp(OWN4, HOST4, 4000, 7, b"whole " + b"w" * 1010 + b"v" * 992)[:1024], True))
    evil = udp(OWN4, HOST4, 4000, 7, b"overlap " + b"o" * 2000)
    pieces(20, (0, evil[:1024], True), (1016, evil[1016:], False))
    pieces(21, (0, evil[:1024], True), (0, evil[:1024], True), (8, b"x" * 64, True), (1024, evil[1024:], False))
    # The second header would rule: to another port.
    pieces(22, (0, evil[:64], True), (0, udp(OWN4, HOST4, 4000, 9, b"overlap " + b"o" * 2000)[:64], True), (64, evil[64:], False))
    pieces(23, (65528, evil[:512], False))
    pieces(24, (0, evil[:7], True), (8, evil[8:], False))
    for number in range(1000, 2000):
        pieces(number, (0, evil[:1024], True))

    def six(number, *parts):
        for at, data, more in parts:
            header = struct.pack("!BBHI", UDP, 0, at | (1 if more else 0), number)
            send6(HOST6, 44, header + data)

    good = udp(OWN6, HOST6, 4000, 7, b"whole 6 " + b"w" * 2000)
    six(1, (0, good[:1024], True), (1024, good[1024:], False))
    evil = udp(OWN6, HOST6, 4000, 7, b"overlap 6 " + b"o" * 2000)
    six(2, (0, evil[:1024], True), (1016, evil[1016:], False))
    six(3, (0, evil[:1020], True), (1020, evil[1020:], False))


def whole_again():
    good = udp(OWN4, HOST4, 4000, 7, b"again " + b"w" * 2002)
    for at, data, more in ((0, good[:1024], 0x2000), (1024, good[1024:], 0)):
        send4(HOST4, UDP, data, number=9, fragment=at // 8 | more)


def source_routes():
    """Loose and strict source routing (RFC 791), by way of an allowed address to one that is not, and the other way round."""
    for kind in (131, 137):
        for via, last in ((HOST4, PRIVATE4), (PRIVATE4, HOST4)):
            options = struct.pack("!BBB", kind, 7, 4) + packed(last)
            send4(via, UDP, udp(OWN4, last, 4000, 7, b"routed"), options=options)
            send4(via, TCP, tcp(OWN4, last, 4001, 80, SYN), options=options)
            send4(via, ICMP, icmp(8, 0, b"\0\1\0\1routed"), options=options)
    for via, last in ((HOST6, PRIVATE6), (PRIVATE6, HOST6)):
        for kind in (0, 2, 3, 4):
            header = struct.pack("!BBBBI", UDP, 2, kind, 1, 0) + packed(last)
            send6(via, 43, header + udp(OWN6, last, 4000, 7, b"routed 6"))


def extension_headers():
    """A header that hides the one behind it decides about nothing: what is to a private address stays where it is."""
    nothing = lambda following: struct.pack("!BB", following, 0) + b"\1\4\0\0\0\0"
    for chain in ((0,), (60,), (0, 60), (60,) * 30, (44,), (51,), (135,), (139,), (253,), (43, 44, 60)):
        payload = udp(OWN6, PRIVATE6, 4000, 7, b"hidden")
        following = UDP
        for kind in reversed(chain):
            payload = nothing(following) + payload
            following = kind
        send6(PRIVATE6, following, payload)
        send6(PRIVATE6, following, payload[:-1])
    for kind in (0, 60):
        send6(HOST6, kind, nothing(kind) * 2)
        send6(HOST6, kind, struct.pack("!BB", UDP, 255) + b"\0" * 6)
    send6(HOST6, 59, b"nothing")


def disguised():
    """Private IPv4 addresses in IPv6 ones: mapped, compatible, NAT64, its local prefix, 6to4, ISATAP; and what is nobody's."""
    four = packed(PRIVATE4)
    hidden = [
        b"\0" * 10 + b"\xff\xff" + four, b"\0" * 12 + four, packed("64:ff9b::")[:12] + four, packed("64:ff9b:1::")[:12] + four,
        b"\x20\x02" + four + b"\0" * 9 + b"\1", b"\0" * 8 + b"\xff\xff\0\0" + four, packed("::ffff:169.254.169.254"), packed("64:ff9b::169.254.169.254"),
        packed("::ffff:127.0.0.1"), packed("64:ff9b::127.0.0.1"), packed("::"), packed("::1"), packed("::ffff:0.0.0.0"),
    ]
    for each in hidden:
        target = socket.inet_ntop(socket.AF_INET6, each)
        send_udp(target, b"disguised")
        send6(target, TCP, tcp(OWN6, target, 4001, 80, SYN))
        send6(target, ICMP6, icmp(128, 0, b"\0\1\0\1echo", OWN6, target))
    for target in ("0.0.0.0", "127.0.0.1", "255.255.255.255", "224.0.0.251", "240.0.0.1", METADATA4, PRIVATE4, "0.0.0.1", "127.255.255.254"):
        send_udp(target, b"disguised")
        send4(target, TCP, tcp(OWN4, target, 4001, 80, SYN))
        send4(target, ICMP, icmp(8, 0, b"\0\1\0\1echo"))


def malformed():
    """Lengths, offsets and checksums that are wrong, each in a packet to an allowed address; none may arrive."""
    data = b"malformed"
    good = udp(OWN4, HOST4, 4000, 7, data)
    for fields in ({"version": 5}, {"words": 4}, {"words": 15}, {"length": 19}, {"length": 9000}, {"length": 27}):
        send4(HOST4, UDP, good, **fields)
    for length in (0, 7, 9000):
        send4(HOST4, UDP, udp(OWN4, HOST4, 4000, 7, data, length=length))
    send4(HOST4, UDP, udp(OWN4, HOST4, 4000, 7, data, wrong=1))
    packet = bytearray(ipv4(OWN4, HOST4, UDP, good))
    packet[10] ^= 1
    wire.send(ethernet(bytes(packet), IPV4))
    for fields in ({"offset": 4}, {"offset": 15}, {"wrong": 1}):
        send4(HOST4, TCP, tcp(OWN4, HOST4, 4002, 9, SYN, **fields))
    for flags in (0, SYN | FIN, SYN | RST, 0xFF, FIN, ACK, PUSH | ACK, RST):
        send4(HOST4, TCP, tcp(OWN4, HOST4, 4003, 9, flags, data=data))
    send6(HOST6, UDP, udp(OWN6, HOST6, 4000, 7, data), length=9000)
    send6(HOST6, UDP, udp(OWN6, HOST6, 4000, 7, data), length=3)
    header = udp(OWN6, HOST6, 4000, 7, data)
    send6(HOST6, UDP, header[:6] + b"\0\0" + header[8:])
    for size in (14, 15, 20, 33, 34, 53):
        wire.send(ethernet(b"\x45" * (size - 14), IPV4))
        wire.send(ethernet(b"\x60" * (size - 14), IPV6))
        wire.send(ethernet(b"\0" * (size - 14), ARP))
        wire.send(ethernet(b"\0" * (size - 14), 0x8100))
        wire.send(ethernet(b"\0" * (size - 14), size))
    wire.send(ethernet(os.urandom(MTU), 0x88B5))
    for _ in range(2000):
        wire.send(ethernet(os.urandom(random.randrange(200)), random.choice((IPV4, IPV6, ARP))))


def syn_flood(count="20000"):
    """From every port, to an allowed address. The guest's kernel resets what it never asked for."""
    for number in range(int(count)):
        send4(HOST4, TCP, tcp(OWN4, HOST4, 1024 + number % 60000, 9, SYN, sequence=number))


def half_open(count="5000"):
    """The same, and nobody answers: what the kernel would say is lost."""
    subprocess.run(["ip", "route", "add", "blackhole", OTHER4], check=True)
    syn = [(number, ethernet(ipv4(OWN4, OTHER4, TCP, tcp(OWN4, OTHER4, 1024 + number % 60000, 7, SYN, sequence=number)), IPV4)) for number in range(int(count))]
    for _, frame in syn:
        wire.send(frame)
    subprocess.run(["ip", "route", "del", "blackhole", OTHER4], check=True)


def datagram_flood(count="5000"):
    for number in range(int(count)):
        send_udp(HOST4, b"flood", source_port=1024 + number)


def echo_flood(count="3000"):
    for number in range(int(count)):
        send4(HOST4, ICMP, icmp(8, 0, struct.pack("!HH", number, 1) + b"flood"))


def errors():
    """ICMP errors about flows that are none, redirects and router advertisements: nothing follows from them."""
    inner = ipv4(HOST4, OWN4, TCP, tcp(HOST4, OWN4, 80, 4000, ACK))
    for kind, code in ((3, 1), (3, 4), (3, 13), (4, 0), (5, 1), (11, 0), (12, 0), (9, 0), (13, 0), (17, 0)):
        send4(HOST4, ICMP, icmp(kind, code, struct.pack("!I", 68) + inner))
        send4(GATEWAY4, ICMP, icmp(kind, code, struct.pack("!I", 68) + inner))
    for kind in (1, 2, 3, 4, 133, 134, 137):
        for target in (HOST6, GATEWAY6, "ff02::1", "ff02::2"):
            wire.send(ethernet(ipv6(OWN6, target, ICMP6, icmp(kind, 0, struct.pack("!I", 1280) + b"\0" * 48, OWN6, target), limit=255), IPV6))


for word in sys.argv[1:]:
    name, *arguments = word.split(":")
    globals()[name](*arguments)
