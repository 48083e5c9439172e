"""A receiver of FLTR webhooks: verify, respond at once, then process each event once."""

import base64
import hashlib
import hmac
import json
import os
import queue
import sys
import threading
import time
from collections import OrderedDict

from flask import Flask, jsonify, request

WEBHOOK_SECRET = os.environ.get("WEBHOOK_SECRET", "")
if not WEBHOOK_SECRET.startswith("whsec_"):
    sys.exit("Set WEBHOOK_SECRET to the webhook's secret: whsec_…")

TOLERANCE_SECONDS = 5 * 60
REMEMBERED_IDS = 10_000

app = Flask(__name__)
app.config["MAX_CONTENT_LENGTH"] = 1024 * 1024

events = queue.Queue(maxsize=1_000)


def verify_signature(secret, signature, body):
    """X-FLTR-Signature: hex HMAC-SHA256 of the body, keyed with the whole secret, `whsec_` included."""
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    # Bytes, because compare_digest raises on text that is not ASCII.
    return hmac.compare_digest(expected.encode(), signature.encode())


def verify_standard(secret, headers, body):
    """Standard Webhooks: base64 HMAC-SHA256 of `id.timestamp.body`, keyed with the base64-decoded part after `whsec_`.

    `pip install standardwebhooks` does the same. The time is signed too, so an old request is refused.
    """
    event_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit()):
        return False
    if abs(time.time() - int(timestamp)) > TOLERANCE_SECONDS:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{event_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    expected = b"v1," + base64.b64encode(digest)
    # A list: during a rotation's overlap, it has a signature of each secret.
    signatures = headers.get("webhook-signature", "").split(" ")
    return any(hmac.compare_digest(expected, signature.encode()) for signature in signatures)


@app.post("/webhooks/fltr")
def fltr_webhook():
    # The raw bytes: JSON that was parsed and written again has another signature.
    body = request.get_data()
    if not verify_signature(WEBHOOK_SECRET, request.headers.get("X-FLTR-Signature", ""), body):
        return jsonify(error="Invalid signature"), 401
    return accept(body)


@app.post("/webhooks/standard")
def standard_webhook():
    body = request.get_data()
    if not verify_standard(WEBHOOK_SECRET, request.headers, body):
        return jsonify(error="Invalid signature"), 401
    return accept(body)


def accept(body):
    event = parse_event(body)
    if event is None:
        return jsonify(error="Not an event"), 400
    try:
        events.put_nowait(event)
    except queue.Full:
        # A 5xx is retried later, a 4xx is not.
        return jsonify(error="Busy"), 503
    return jsonify(received=True), 200


def parse_event(body):
    try:
        event = json.loads(body)
    except ValueError:
        return None
    is_event = isinstance(event, dict) and all(isinstance(event.get(name), str) for name in ("id", "event"))
    return event if is_event else None


def work():
    """One thread, so that looking up an id and remembering it cannot race."""
    processed = OrderedDict()
    while True:
        event = events.get()
        name = f"{event['event']} {event['id']}"
        if event["id"] in processed:
            print(f"{name} duplicate, ignored", flush=True)
            continue
        try:
            process(event)
        except Exception as error:
            print(f"{name} could not be processed: {error!r}", flush=True)
            continue
        processed[event["id"]] = True
        if len(processed) > REMEMBERED_IDS:
            processed.popitem(last=False)
        print(f"{name} processed", flush=True)


def process(event):
    """Your logic. `GET /v1/event-types` shows the fields of event["data"] for each type."""
    match event["event"]:
        case "document.processed":
            pass
        case "document.processing_failed":
            pass


threading.Thread(target=work, daemon=True).start()

if __name__ == "__main__":
    app.run(port=int(os.environ.get("PORT", "5000")))
