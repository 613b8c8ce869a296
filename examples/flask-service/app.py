"""A small service with a model of its own, as anybody might have one.

    pip install flask prometheus-client
    PORT=5001 python app.py
"""

import os
import time
import uuid

from flask import Flask, jsonify, request
from prometheus_client import Counter, Histogram, make_wsgi_app
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import run_simple

app = Flask(__name__)
REQUESTS = Counter("shop_requests_total", "Requests for a prediction.", ["status"])
SECONDS = Histogram("shop_request_seconds", "Time that they took.")
LABELS = Counter("shop_labels_total", "True labels that came.")
broken = False
given = set()


def predict(row):
    """A rule of thumb in place of a model."""
    score = 0.02 * (row["Glucose"] - 90) + 0.04 * (row["BMI"] - 25) + 0.01 * (row["Age"] - 30)
    return min(max(score / 2, 0.01), 0.99)


@app.post("/predict")
def answer():
    start = time.perf_counter()
    status = 500 if broken else 200
    body = {"error": "broken"} if broken else {}
    if not broken:
        risk = predict(request.get_json())
        given.add(key := str(uuid.uuid4()))
        body = {"id": key, "diabetic": risk >= 0.5, "confidence": max(risk, 1 - risk)}
    REQUESTS.labels(status).inc()
    SECONDS.observe(time.perf_counter() - start)
    return jsonify(body), status


@app.put("/labels/<key>")
def label(key):
    if key not in given:
        return jsonify({"error": "unknown prediction"}), 404
    given.remove(key)
    LABELS.inc()
    return "", 204


@app.get("/health")
def health():
    return "ok"


@app.post("/break")
def break_it():
    global broken
    broken = True
    return "broken"


@app.post("/mend")
def mend_it():
    global broken
    broken = False
    return "mended"


if __name__ == "__main__":
    whole = DispatcherMiddleware(app, {"/metrics": make_wsgi_app()})
    run_simple("127.0.0.1", int(os.environ.get("PORT", "5001")), whole, threaded=True)
