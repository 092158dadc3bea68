"""A real S3 server for tests: moto's, one request at a time. `python -m tests.s3_server PORT`.

One at a time, because moto checks the condition of a write and then writes: S3 does both at once, and so does this.
"""

import sys

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), DomainDispatcherApplication(create_backend_app), threaded=False)
