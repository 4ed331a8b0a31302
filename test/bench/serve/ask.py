"""Asks `path` `count` times, one after the other, `pause_ms` apart, and prints the status and the milliseconds of each as JSON.

A blocking socket, so that what is measured is the server and the machine and not an event loop of the client's own.
'fresh' opens a connection for each request, as the load balancer's health check does; 'kept' uses one.
"""

import json
import socket
import sys
import time

port, path, kind, count, pause_ms = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]), float(sys.argv[5])
connection = 'close' if kind == 'fresh' else 'keep-alive'
request = f'GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: {connection}\r\nUser-Agent: ELB-HealthChecker/2.0\r\n\r\n'.encode()


def connect():
    made = socket.create_connection(('127.0.0.1', port), timeout=5)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def read(source):
    data = b''
    while b'\r\n\r\n' not in data:
        data += more(source)
    head, body = data.split(b'\r\n\r\n', 1)
    fields = dict(line.lower().split(b': ', 1) for line in head.split(b'\r\n')[1:])
    while len(body) < int(fields[b'content-length']):
        body += more(source)
    return int(head.split(b' ', 2)[1])


def more(source):
    data = source.recv(65536)
    if not data:
        raise ConnectionError('the answer ended early')
    return data


answers = []
kept = None
for _ in range(count):
    time.sleep(pause_ms / 1000)
    started = time.perf_counter()
    used = kept or connect()
    used.sendall(request)
    status = read(used)
    answers.append([status, (time.perf_counter() - started) * 1000])
    if kind == 'kept':
        kept = used
    else:
        used.close()
json.dump(answers, sys.stdout)
