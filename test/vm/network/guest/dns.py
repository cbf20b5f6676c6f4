"""DNS as no resolver speaks it: python3 dns.py NAME [ARGUMENT]... prints what comes back."""
import socket, struct, sys, time

RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 5: "REFUSED"}
gateway = next(line.split()[1] for line in open("/etc/resolv.conf") if line.startswith("nameserver") and "." in line)


def question(name, kind=1, flags=0x0100, count=1, number=0x1234):
    encoded = b"".join(bytes([len(label)]) + label for label in name.encode("latin-1").split(b".") if label) + b"\0"
    return struct.pack("!HHHHHH", number, flags, count, 0, 0, 0) + (encoded + struct.pack("!HH", kind, 1)) * count


def told(message):
    if message is None:
        return "nothing"
    number, flags, questions, answers = struct.unpack("!HHHH", message[:8])
    return f"{RCODES.get(flags & 15, flags & 15)} {answers} answers" + (" truncated" if flags & 0x200 else "") + ("" if number == 0x1234 else " of another question")


def by_udp(message, server=gateway, port=53, seconds=3):
    with socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.settimeout(seconds)
        one.connect((server, port))
        one.send(message)
        try:
            return one.recv(65535)
        except OSError:
            return None


def exactly(one, count):
    got = b""
    while len(got) < count:
        more = one.recv(count - len(got))
        if not more:
            raise EOFError
        got += more
    return got


def answers_of(one, count=1):
    found = []
    try:
        for _ in range(count):
            found.append(exactly(one, struct.unpack("!H", exactly(one, 2))[0]))
    except (EOFError, OSError):
        found.append(None)
    return found


def by_tcp(*parts, server=gateway, count=1, pause=0.0, close=False):
    with socket.create_connection((server, 53), 10) as one:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            one.sendall(part)
            time.sleep(pause)
        if close:
            one.shutdown(socket.SHUT_WR)
        return answers_of(one, count)


def framed(message):
    return struct.pack("!H", len(message)) + message


def ask(name, server=gateway):
    print(told(by_udp(question(name), server)))


def split_length():
    whole = framed(question("v4.example.com"))
    for parts in ([whole[:1], whole[1:]], [whole[index : index + 1] for index in range(len(whole))]):
        print(*map(told, by_tcp(*parts, pause=0.02)))
    print(*map(told, by_tcp(whole + whole[:3], whole[3:], count=2, pause=0.02, close=True)))


def odd():
    print("two questions:", told(by_udp(question("v4.example.com", count=2))))
    print("no question:", told(by_udp(question("v4.example.com", count=0))))
    print("a response:", told(by_udp(question("response.example.com", flags=0x8180), seconds=1)))
    print("short:", told(by_udp(b"\x12\x34\1\0", seconds=1)))
    print("a pointer to itself:", told(by_udp(struct.pack("!HHHHHH", 0x1234, 0x100, 1, 0, 0, 0) + b"\xc0\x0c\0\1\0\1", seconds=1)))
    print("odd bytes:", told(by_udp(question("a b\1\xff.odd.example.com"))))
    print("0x20:", told(by_udp(question("V4.eXaMpLe.CoM"))))
    print("a label of 63:", told(by_udp(question("l" * 63 + ".example.com"))))


def elsewhere(name):
    """Resolvers of one's own: over UDP and TCP, on their port and others."""
    for server in ("1.1.1.1", "2606:4700:4700::1111", "8.8.8.8"):
        print(server, told(by_udp(question(name), server)), *map(told, by_tcp(framed(question(name)), server=server)))
    for port in (5353, 5355, 137, 853, 784, 8853):
        print(port, told(by_udp(question(name), "1.1.1.1", port, 0.5)))
    for port in (853, 5300, 443):
        try:
            with socket.create_connection(("1.1.1.1", port), 10):
                print(port, "connected")
        except OSError as error:
            print(port, type(error).__name__)


globals()[sys.argv[1]](*sys.argv[2:])
