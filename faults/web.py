"""`python -m faults.web FD`: one server process on a socket that it shares with its sisters.

Whoever of them is alive answers, so a killed process costs the requests it had and no others, as behind a balancer.
"""

import socket
import sys

import waitress

from app.wsgi import application

if __name__ == "__main__":
    shared = socket.socket(fileno=int(sys.argv[1]))
    waitress.serve(application, sockets=[shared], threads=8)
