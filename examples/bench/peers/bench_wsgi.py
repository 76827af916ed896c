# The benchmark's application as a bare WSGI function, for uWSGI and gunicorn.
import os


def load(name, kind):
    with open(os.path.join(os.environ["BENCH_DATA"], name), "rb") as f:
        body = f.read()
    return body, [("Content-Type", kind), ("Content-Length", str(len(body)))]


pages = {
    "/hello": load("hello", "text/plain"),
    "/json2k": load("json2k", "application/json"),
    "/body64k": load("body64k", "text/plain"),
}


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/echo10k":
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        headers = [
            ("Content-Type", "application/octet-stream"),
            ("Content-Length", str(len(body))),
        ]
    else:
        body, headers = pages[path]
    start_response("200 OK", headers)
    return [body]
