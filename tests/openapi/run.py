"""Holds the running program to shards/openapi.yaml with schemathesis: target/schemathesis/bin/python tests/openapi/run.py PORTUNUS

Requests of every kind that the description allows, and of those that it does not, for at most a minute: no answer may be
a server error or take too long, each must be as described, and the program must be well afterwards.
"""

import json
import os
import pathlib
import random
import re
import socket
import subprocess
import sys
import urllib.request

HERE = pathlib.Path(__file__).parent
BUDGET, PATIENCE = 30, 5  # seconds: of the requests, and of one request
SESSION = 4711  # in the path of some requests
ANY = "schema: { type: integer, minimum: 1, maximum: 9007199254740991 }"
ENDS = ", detach, destroy]", ", detach]", ", set_session_timeout, destroy_session]", ", detach_handle]"
ENDS_ALL = "        - set_session_timeout\n        - accept_new_sessions\n"
SECRET = "admin_secret: { type: string }"


def start(program):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["--listen", "127.0.0.1:0", "--media-ip", "127.0.0.1", "--media-port", str(port), "--shards", "1"]
    arguments += ["--admin-secret", "adm"]
    process = subprocess.Popen([program, *arguments], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if found := re.search(r"ws://(\S+)", line):
            return process, f"http://{found.group(1)}"
    sys.exit("the program did not start")


def ask(url, document=None):
    content = document and json.dumps(document).encode()
    with urllib.request.urlopen(url, content, timeout=PATIENCE) as answer:
        return json.load(answer)


def main():
    process, url = start(sys.argv[1])
    try:
        ask(f"{url}/janus", {"janus": "create", "transaction": "t", "id": SESSION})
        attach = {"janus": "attach", "transaction": "t", "plugin": "janus.plugin.videoroom"}
        handle = ask(f"{url}/janus/{SESSION}", attach)["data"]["id"]
        # Half of the paths name what is there, and nothing of it is ended, so that requests get as far as a room.
        description = (HERE / "../../shards/openapi.yaml").read_text()
        for number in (SESSION, handle):
            assert ANY in description
            description = description.replace(ANY, f"schema: {{ type: integer, enum: [{number}, {number + 1}] }}", 1)
        for verbs in ENDS:
            assert verbs in description
            description = description.replace(verbs, "]")
        assert ENDS_ALL in description and SECRET in description
        description = description.replace(ENDS_ALL, "")
        description = description.replace(SECRET, "admin_secret: { type: string, enum: [adm, wrong] }")
        scratch = HERE / "../../target/openapi"
        scratch.mkdir(exist_ok=True)
        (scratch / "openapi.yaml").write_text(description)
        checks = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        command = [
            *(pathlib.Path(sys.executable).parent / "schemathesis", "run", "openapi.yaml", "--url", url),
            *("--checks", checks, "--max-time", BUDGET, "--request-timeout", PATIENCE, "--max-redirects", 0),
            *("--phases", "examples,coverage,fuzzing", "--seed", seed, "--exclude-operation-id", "poll"),
            *("--warnings", "off", "--no-color"),
        ]
        hooks = dict(os.environ, SCHEMATHESIS_HOOKS="hooks", PYTHONPATH=str(HERE))
        verdict = subprocess.run([str(word) for word in command], cwd=scratch, env=hooks, timeout=BUDGET + 20).returncode
        assert process.poll() is None, "the program has ended"
        health = ask(f"{url}/healthz")
        assert health["status"] == "ok", health
        counters = health["signalling"]["counters"]
        print({name: counters[name] for name in ("http_requests", "requests", "core_errors", "plugin_errors")})
        assert counters["plugin_errors"] > 0, "no request got as far as a room"
    finally:
        process.kill()
        process.wait()
    sys.exit(verdict)


main()
