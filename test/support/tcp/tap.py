"""The kernel of this host as a guest: a TAP in a network namespace of its own, whose frames go over a socket.

Usage: unshare --map-root-user --net python3 tap.py FD MTU MAC. A length of 4 bytes in network order stands before each frame,
as with QEMU's -netdev stream. Then "ready" is printed; it ends with the socket.
"""
import fcntl, os, socket, struct, subprocess, sys, threading

descriptor, mtu, mac = int(sys.argv[1]), sys.argv[2], sys.argv[3]
tap = os.open("/dev/net/tun", os.O_RDWR)
# TUNSETIFF with IFF_TAP | IFF_NO_PI
fcntl.ioctl(tap, 0x400454CA, struct.pack("16sH22x", b"eth0", 0x0002 | 0x1000))
for command in (
    "ip link set lo up",
    f"ip link set eth0 address {mac} mtu {mtu} up",
    "ip addr add 172.16.0.2/30 dev eth0",
    "ip route add default via 172.16.0.1",
    "ip addr add fd42:6d73:62::2/64 dev eth0 nodad",
    "ip -6 route add default via fd42:6d73:62::1",
):
    subprocess.run(command.split(), check=True)
link = socket.socket(fileno=descriptor)


def to_host():
    while True:
        frame = os.read(tap, 70000)
        link.sendall(struct.pack(">I", len(frame)) + frame)


threading.Thread(target=to_host, daemon=True).start()
print("ready", flush=True)
held = bytearray()
while True:
    data = link.recv(1 << 20)
    if not data:
        break
    held += data
    at = 0
    while len(held) - at >= 4:
        (length,) = struct.unpack_from(">I", held, at)
        if len(held) - at - 4 < length:
            break
        os.write(tap, memoryview(held)[at + 4 : at + 4 + length])
        at += 4 + length
    del held[:at]
os._exit(0)
