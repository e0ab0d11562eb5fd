"""A client in the namespace of the resolver: looks the name up (or keeps an old answer), and asks, ten times a second.

`python client.py HOST PORT UNTIL RESOLVER|-ADDRESS`: with -ADDRESS the answer is that old one, whatever DNS says. A new
connection each time, 2 s of patience. Prints JSON: when each request began, and what became of it.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time

import dns.resolver

from gslb import clock

TICK_S = 0.1
PATIENCE_S = 2.0


def main() -> None:
    host, port, until_s, how = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    resolver = dns.resolver.Resolver(configure=False)
    resolver.nameservers = [] if how.startswith("-") else [how]
    resolver.lifetime = PATIENCE_S
    resolver.cache = None
    told: list[list] = []
    threads = []

    def one() -> None:
        begun_s = clock.mono_s()
        try:
            address = how[1:] if how.startswith("-") else resolver.resolve(host, "A")[0].to_text()
            connection = http.client.HTTPConnection(address, port, timeout=PATIENCE_S)
            connection.request("GET", "/", headers={"Host": host})
            status = connection.getresponse().status
            connection.close()
            outcome = "good" if status == 200 else str(status)
        except Exception as error:  # whatever a client may meet
            outcome = type(error).__name__
        told.append([begun_s, clock.mono_s(), outcome])

    while clock.mono_s() < until_s:
        threads.append(threading.Thread(target=one))
        threads[-1].start()
        time.sleep(TICK_S)
    for thread in threads:
        thread.join()
    print(json.dumps(sorted(told)))


if __name__ == "__main__":
    main()
