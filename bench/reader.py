"""One client that asks for one path again and again, until it is terminated."""

import os
import sys

import httpx2

address, path = sys.argv[1:]
with httpx2.Client(base_url=address, timeout=60) as client:
    client.headers["Authorization"] = os.environ["SESSION"]
    while True:
        client.get(path)
