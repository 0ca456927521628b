"""The LED server of the tutorials: Flask-SocketIO, with a stand-in for the LED.

    tutorial.py threading|gevent
"""

import socket
import sys
import threading
import time

mode = sys.argv[1]
if mode == "gevent":
    from gevent import monkey

    monkey.patch_all()

from flask import Flask
from flask_socketio import SocketIO, emit


class Led:
    """Stands in for gpiozero's PWMLED, which the tutorials use."""

    value = 0.5


app = Flask(__name__)
socketio = SocketIO(app, async_mode=mode, cors_allowed_origins="*")
led = Led()
level = 50


@socketio.on("connect")
def connect(*_):
    emit("led", {"level": level})


@socketio.on("led")
def change(message):
    global level
    level = max(0, min(100, int(message["level"])))
    led.value = level / 100
    emit("led", {"level": level}, broadcast=True)


with socket.socket() as free:
    free.bind(("127.0.0.1", 0))
    address = free.getsockname()


def announce():
    """Prints the address once the server listens: neither mode has a hook for that."""
    while socket.socket().connect_ex(address) != 0:
        time.sleep(0.005)
    print(f"open http://127.0.0.1:{address[1]}", flush=True)


threading.Thread(target=announce, daemon=True).start()
options = {"allow_unsafe_werkzeug": True} if mode == "threading" else {}
socketio.run(app, host=address[0], port=address[1], **options)
