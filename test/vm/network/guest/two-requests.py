# Two requests on one connection: the second when a line comes. HOST PORT FIELD: the field is Authorization.
import http.client
import ssl
import sys

host, port, field = sys.argv[1:]
context = ssl.create_default_context()
connection = http.client.HTTPSConnection(host, int(port), timeout=60, context=context)
for path in ("/first", "/second"):
    connection.request("GET", path, headers={"Authorization": field})
    print(connection.getresponse().read().decode().strip(), flush=True)
    if path == "/first":
        sys.stdin.readline()
