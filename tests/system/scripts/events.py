"""Say COUNT events, one each PAUSE seconds, as dlroverd_train would; or so many until FILE is there."""

import itertools
import json
import os
import sys
import time

count, pause_s, until = int(sys.argv[1]), float(sys.argv[2]), sys.argv[3] if len(sys.argv) > 3 else ""
file = os.open(os.environ["DLROVERD_EVENTS_FILE"], os.O_WRONLY | os.O_APPEND)
for number in itertools.count(1):
    line = {"n": "user.tick", "t": time.time(), "m": time.monotonic(), "p": os.getpid(), "b": {"number": number}}
    os.write(file, json.dumps(line).encode() + b"\n")
    if number == count or (until and os.path.exists(until)):
        break
    if pause_s:
        time.sleep(pause_s)
sys.stdout.write(f"{number}\n")
