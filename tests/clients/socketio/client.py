"""A client as the tutorials write it: client.py URL TRANSPORT [HEADER VALUE]

TRANSPORT is polling, websocket, or any: the library's own way, to poll and then change.
It prints each event it receives, a line each, and sends each line of its input: an event and its data.

It prints "started" before it connects, and "ready" once the library has connected. Until then
python-socketio does not report a disconnect: it calls the handler of "connect" first, and forgets a
connection that ends before connect() is done.
"""

import json
import sys

import socketio

url, transport, *header = sys.argv[1:]
sio = socketio.Client()


def say(*words):
    # In one piece: each event is handled in a thread of its own.
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


@sio.on("connect")
def connect():
    say("connect")


@sio.on("led")
def led(data):
    say("led", data["level"])


@sio.on("message")
def message(data):
    say("message", data)


@sio.on("response")
def response(answer):
    say("response", answer["data"])


@sio.on("host_join_room")
def joined(data):
    say("host_join_room", data["name"], data["message"])


@sio.on("add_chat_message")
def said(data):
    say("add_chat_message", data["name"], data["message"])


@sio.on("disconnect")
def disconnect(*reason):
    say("disconnect")


say("started")
try:
    sio.connect(
        url,
        headers=dict([header]) if header else {},
        transports=None if transport == "any" else [transport],
    )
# The older library lets errors of others through.
except Exception as error:
    say("refused", error)
    sys.exit(1)
say("ready")

for line in sys.stdin:
    event, data = line.rstrip("\n").split(" ", 1)
    if event == "led":
        data = {"level": data}
    elif data.startswith("{"):
        data = json.loads(data)
    sio.emit(event, data)
sio.disconnect()
