"""Clients in Python that are compared with ours: `requests` with a session, and the vendor's.

Usage:
    clients.py once CLIENT URL [AUTHORITY]    connects, makes one request, closes, and ends
    clients.py loop CLIENT URL                makes requests as it is told

Each line on the input of `loop` has a number of threads and of seconds. It answers with the requests a
second that these threads have made.
"""

import sys

PROJECT = "B7CA92F04B9FAE8D941C3E9B7E0CD754"


class Requests:
    """A session as one opens it by hand."""

    def __init__(self, url, authority):
        import requests

        self.url = url
        self.session = requests.Session()
        self.session.verify = authority or True
        login = {"username": "alice", "password": "secret", "loginMode": 1}
        answer = self.session.post(f"{url}/api/auth/login", json=login)
        answer.raise_for_status()
        self.session.headers["X-MSTR-AuthToken"] = answer.headers["X-MSTR-AuthToken"]
        self.session.headers["X-MSTR-ProjectID"] = PROJECT

    def call(self):
        answer = self.session.get(f"{self.url}/api/small")
        answer.raise_for_status()
        assert len(answer.content) == 200

    def close(self):
        self.session.post(f"{self.url}/api/auth/logout").raise_for_status()


class Mstrio:
    """The vendor's client."""

    def __init__(self, url, authority):
        from mstrio.connection import Connection

        self.connection = Connection(
            url, "alice", "secret", project_id=PROJECT, certificate_path=authority, verbose=False
        )

    def call(self):
        answer = self.connection.get(endpoint="/api/small")
        assert len(answer.content) == 200

    def close(self):
        self.connection.close()


CLIENTS = {"requests": Requests, "mstrio-py": Mstrio}


def rate(client, threads, seconds):
    """Requests a second, of so many threads for so long."""
    import threading
    import time

    ready = threading.Barrier(threads + 1)
    counts = []

    def run():
        count = 0
        ready.wait()
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            client.call()
            count += 1
        counts.append(count)

    running = [threading.Thread(target=run) for _ in range(threads)]
    for thread in running:
        thread.start()
    ready.wait()
    start = time.perf_counter()
    for thread in running:
        thread.join()
    taken = time.perf_counter() - start
    assert len(counts) == threads, "a request failed"
    return sum(counts) / taken


def main():
    how, name, url, *authority = sys.argv[1:]
    client = CLIENTS[name](url, authority[0] if authority else None)
    if how == "once":
        client.call()
    else:
        for line in sys.stdin:
            threads, seconds = line.split()
            print(rate(client, int(threads), float(seconds)), flush=True)
    client.close()


if __name__ == "__main__":
    main()
