"""Frames as an attacker writes them: every field of every header is at hand. Runs as root in the guest."""
import fcntl, os, socket, struct, subprocess

INTERFACE = "eth0"
ARP, IPV4, IPV6 = 0x0806, 0x0800, 0x86DD
TCP, UDP, ICMP, ICMP6 = 6, 17, 1, 58


def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def own(family):
    words = subprocess.run(["ip", "-o", family, "addr", "show", "dev", INTERFACE, "scope", "global"], capture_output=True, text=True).stdout.split()
    return words[3].split("/")[0]


def gateway(family):
    words = subprocess.run(["ip", family, "route", "show", "default"], capture_output=True, text=True).stdout.split()
    return words[words.index("via") + 1]


OWN_MAC = mac(open(f"/sys/class/net/{INTERFACE}/address").read().strip())
MTU = int(open(f"/sys/class/net/{INTERFACE}/mtu").read())
OWN4, OWN6 = own("-4"), own("-6")
GATEWAY4, GATEWAY6 = gateway("-4"), gateway("-6")

wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
wire.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
wire.bind((INTERFACE, 0))


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def checksum(data):
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def pseudo(source, target, protocol, length):
    s, t = packed(source), packed(target)
    if len(s) == 4:
        return s + t + struct.pack("!BBH", 0, protocol, length)
    return s + t + struct.pack("!I3xB", length, protocol)


def ethernet(payload, kind, target=None, source=None):
    return (target or GATEWAY_MAC) + (source or OWN_MAC) + struct.pack("!H", kind) + payload


def ipv4(source, target, protocol, payload, options=b"", number=1, fragment=0, ttl=64, length=None, version=4, words=None):
    options += b"\0" * (-len(options) % 4)
    size = 20 + len(options)
    header = struct.pack(
        "!BBHHHBBH4s4s",
        version << 4 | (size // 4 if words is None else words), 0, size + len(payload) if length is None else length,
        number, fragment, ttl, protocol, 0, packed(source), packed(target),
    ) + options
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def ipv6(source, target, protocol, payload, limit=64, length=None):
    return struct.pack("!IHBB", 6 << 28, len(payload) if length is None else length, protocol, limit) + packed(source) + packed(target) + payload


def udp(source, target, source_port, target_port, data, length=None, wrong=0):
    size = 8 + len(data) if length is None else length
    header = struct.pack("!HHHH", source_port, target_port, size, 0)
    value = checksum(pseudo(source, target, UDP, size) + header + data) or 0xFFFF
    return header[:6] + struct.pack("!H", value ^ wrong) + data


def tcp(source, target, source_port, target_port, flags, sequence=1000, acknowledged=0, data=b"", options=b"", window=65535, offset=None, wrong=0):
    options += b"\1" * (-len(options) % 4)
    words = 5 + len(options) // 4 if offset is None else offset
    header = struct.pack("!HHIIBBHHH", source_port, target_port, sequence, acknowledged, words << 4, flags, window, 0, 0) + options
    value = checksum(pseudo(source, target, TCP, len(header) + len(data)) + header + data)
    return header[:16] + struct.pack("!H", value ^ wrong) + header[18:] + data


def icmp(kind, code, rest, source=None, target=None):
    body = struct.pack("!BBH", kind, code, 0) + rest
    value = checksum((pseudo(source, target, ICMP6, len(body)) if source else b"") + body)
    return body[:2] + struct.pack("!H", value) + body[4:]


def send4(target, protocol, payload, source=None, **fields):
    link = {name: fields.pop(name) for name in ("mac_source", "mac_target") if name in fields}
    packet = ipv4(source or OWN4, target, protocol, payload, **fields)
    wire.send(ethernet(packet, IPV4, link.get("mac_target"), link.get("mac_source")))


def send6(target, protocol, payload, source=None, **fields):
    wire.send(ethernet(ipv6(source or OWN6, target, protocol, payload, **fields), IPV6))


def send_udp(target, data, port=7, source=None, source_port=4000, **fields):
    six = ":" in target
    source = source or (OWN6 if six else OWN4)
    (send6 if six else send4)(target, UDP, udp(source, target, source_port, port, data), source=source, **fields)


def arp(operation, sender_mac, sender, target_mac, target):
    return struct.pack("!HHBBH", 1, IPV4, 6, 4, operation) + sender_mac + packed(sender) + target_mac + packed(target)


def find_gateway():
    """Asks for the gateway's address on the link, as the guest's own kernel does."""
    question = arp(1, OWN_MAC, OWN4, b"\0" * 6, GATEWAY4)
    wire.settimeout(10)
    wire.send(b"\xff" * 6 + OWN_MAC + struct.pack("!H", ARP) + question)
    while True:
        frame = wire.recv(65600)
        if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\0\2" and frame[28:32] == packed(GATEWAY4):
            wire.settimeout(None)
            return frame[22:28]


GATEWAY_MAC = find_gateway()
