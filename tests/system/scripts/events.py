"""Say COUNT events, one each PAUSE seconds, as dlroverd_train would; then, told to, wait for a file."""

import json
import os
import sys
import time

count, pause_s = int(sys.argv[1]), float(sys.argv[2])
file = os.open(os.environ["DLROVERD_EVENTS_FILE"], os.O_WRONLY | os.O_APPEND)
for number in range(1, count + 1):
    line = {"n": "user.tick", "t": time.time(), "m": time.monotonic(), "p": os.getpid(), "b": {"number": number}}
    os.write(file, json.dumps(line).encode() + b"\n")
    if pause_s:
        time.sleep(pause_s)
sys.stdout.write(f"said {count}\n")
while len(sys.argv) > 3 and not os.path.exists(sys.argv[3]):
    time.sleep(0.02)
