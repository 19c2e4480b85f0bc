"""What of W&B's server its client talks to here, on loopback: runs, history, files, artifacts.

It answers what the client of the version at hand really sends, and notes what it cannot answer.
History is kept as the real server keeps it: line by line, at the offsets that the client says.
"""

import base64
import gzip
import json
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

KEY = "a" * 40
ENTITY = "lab"
PAGE = 50
"""Runs that it sends at most at once."""

SAMPLES = 1000
"""Lines of a history that it sends at most at once."""

_STREAM = re.compile(r"/files/([^/]+)/([^/]+)/([^/]+)/file_stream")


@dataclass
class ServedRun:
    """A run as the server has it."""

    project: str
    name: str
    fields: dict[str, Any] = field(default_factory=dict)
    lines: dict[str, dict[int, str]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    complete: bool = False

    @property
    def history(self) -> list[dict[str, Any]]:
        """All lines in their order, also those that are there twice."""
        lines = self.lines.get("wandb-history.jsonl", {})
        return [json.loads(lines[at]) for at in sorted(lines)]

    @property
    def steps(self) -> list[int]:
        return [line["_step"] for line in self.history]

    @property
    def summary(self) -> dict[str, Any]:
        lines = self.lines.get("wandb-summary.json", {})
        return json.loads(lines[max(lines)]) if lines else {}

    @property
    def config(self) -> dict[str, Any]:
        found = json.loads(self.fields.get("config") or "{}")
        return {key: one["value"] for key, one in found.items() if not key.startswith("_")}


@dataclass
class Server:
    """The server's memory.

    Attributes:
        url: For WANDB_BASE_URL.
        runs: By id.
        artifacts: Sequence and version to what was committed.
        operations: Of GraphQL, in the order of arrival.
        unknown: What it had no answer to.
        interrupt: Called with each piece of history; where it raises a ConnectionError, the answer
            is lost.
    """

    url: str = ""
    runs: dict[str, ServedRun] = field(default_factory=dict)
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    stored: dict[str, bytes] = field(default_factory=dict)
    operations: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    views: dict[str, dict[str, Any]] = field(default_factory=dict)
    interrupt: Callable[[dict[str, Any]], None] = lambda request: None
    lock: Any = field(default_factory=threading.RLock)

    def graphql(self, name: str, query: str, v: dict[str, Any]) -> dict[str, Any]:
        self.operations.append(name)
        answer = getattr(self, f"_{name}", None)
        if answer is None:
            self.unknown.append(f"{name} {json.dumps(v)[:400]}\n{query}")
            return {}
        found: dict[str, Any] = answer(v)
        return found

    def stream(self, project: str, name: str, request: dict[str, Any]) -> None:
        run = self.runs[name]
        for file, chunk in (request.get("files") or {}).items():
            kept = run.lines.setdefault(file, {})
            for at, line in enumerate(chunk["content"], start=chunk["offset"]):
                kept[at] = line
        run.complete |= bool(request.get("complete"))

    def _ServerInfo(self, v: dict[str, Any]) -> dict[str, Any]:
        return {"serverInfo": {"cliVersionInfo": {"max_cli_version": "9.9.9"}}}

    def _Viewer(self, v: dict[str, Any]) -> dict[str, Any]:
        teams = {"edges": [{"node": {"name": ENTITY}}]}
        return {"viewer": {"id": "u", "entity": ENTITY, "username": ENTITY, "teams": teams}}

    def _RunResumeStatus(self, v: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(v["name"])
        return {"model": self._project(v["project"]) | {"bucket": run and self._resume(run)}}

    def _resume(self, run: ServedRun) -> dict[str, Any]:
        def tail(file: str) -> str:
            lines = run.lines.get(file, {})
            return json.dumps([lines[at] for at in sorted(lines)][-1:])

        def count(file: str) -> int:
            return len(run.lines.get(file, {}))

        return {
            "id": _id("run", run.name),
            "name": run.name,
            "displayName": run.fields.get("displayName"),
            "summaryMetrics": json.dumps(run.summary),
            "config": run.fields.get("config") or "{}",
            "tags": run.fields.get("tags") or [],
            "notes": run.fields.get("notes"),
            "logLineCount": count("output.log"),
            "historyLineCount": count("wandb-history.jsonl"),
            "eventsLineCount": count("wandb-events.jsonl"),
            "historyTail": tail("wandb-history.jsonl"),
            "eventsTail": tail("wandb-events.jsonl"),
            "wandbConfig": json.dumps({"t": 1}),
        }

    def _UpsertBucket(self, v: dict[str, Any]) -> dict[str, Any]:
        name = v["name"] or self._by_id(v["id"]).name
        inserted = name not in self.runs
        run = self.runs.setdefault(name, ServedRun(v["project"] or "uncategorized", name))
        run.fields |= {key: value for key, value in v.items() if value is not None}
        return {
            "upsertBucket": {
                "bucket": {
                    "id": _id("run", name),
                    "name": name,
                    "displayName": run.fields.get("displayName") or name,
                    "description": "",
                    "config": run.fields.get("config") or "{}",
                    "sweepName": None,
                    "project": self._project(run.project),
                    "historyLineCount": len(run.history),
                },
                "inserted": inserted,
            }
        }

    def _by_id(self, id_: str) -> ServedRun:
        return next(run for run in self.runs.values() if _id("run", run.name) == id_)

    def _project(self, name: str) -> dict[str, Any]:
        entity = {"id": "e", "name": ENTITY}
        return {"id": _id("project", name), "name": name, "entity": entity}

    def _CreateRunFiles(self, v: dict[str, Any]) -> dict[str, Any]:
        files = [
            {"name": file, "uploadUrl": f"{self.url}/storage/{v['run']}/{file}"}
            for file in v["files"]
        ]
        return {
            "createRunFiles": {"runID": _id("run", v["run"]), "uploadHeaders": [], "files": files}
        }

    def _ArtifactType(self, v: dict[str, Any]) -> dict[str, Any]:
        known = self.artifacts.get(v["name"].partition(":")[0])
        type_ = known and {"artifactType": {"name": known["type"]}}
        return {"project": {"artifact": type_}}

    def _ServerFeaturesQuery(self, v: dict[str, Any]) -> dict[str, Any]:
        return {"serverInfo": {"features": []}}

    def _CreateArtifact(self, v: dict[str, Any]) -> dict[str, Any]:
        given = v["input"]
        name, digest = given["artifactCollectionName"], given["digest"]
        known = self.artifacts.setdefault(
            name, {"type": given["artifactTypeName"], "versions": [], "manifests": {}}
        )
        id_ = _id("artifact", f"{name}:{digest}")
        committed = digest in known["versions"]
        latest = known["versions"] and {"id": _id("artifact", f"{name}:{known['versions'][-1]}")}
        return {
            "createArtifact": {
                "artifact": {
                    "id": id_,
                    "state": "COMMITTED" if committed else "PENDING",
                    "artifactSequence": {"latestArtifact": latest or None},
                }
            }
        }

    def _CreateArtifactManifest(self, v: dict[str, Any]) -> dict[str, Any]:
        file = {
            "id": "f",
            "name": v["name"],
            "displayName": v["name"],
            "uploadUrl": f"{self.url}/artifacts/{v['artifactID']}/{v['name']}",
            "uploadHeaders": [],
        }
        return {"createArtifactManifest": {"artifactManifest": {"id": "m", "file": file}}}

    def _CreateArtifactFiles(self, v: dict[str, Any]) -> dict[str, Any]:
        nodes = [
            {
                "id": "f",
                "name": one["name"],
                "displayName": one["name"],
                "uploadUrl": f"{self.url}/artifacts/{one['artifactID']}/{one['name']}",
                "uploadHeaders": [],
                "uploadMultipartUrls": None,
                "storagePath": f"artifacts/{one['artifactID']}/{one['name']}",
                "artifact": {"id": one["artifactID"]},
            }
            for one in (v.get("input") or v)["artifactFiles"]
        ]
        return {"createArtifactFiles": {"files": {"edges": [{"node": node} for node in nodes]}}}

    def _CommitArtifact(self, v: dict[str, Any]) -> dict[str, Any]:
        _, name, digest = base64.b64decode(v["artifactID"]).decode().split(":", 2)
        self.artifacts[name]["versions"].append(digest)
        return {"commitArtifact": {"artifact": {"id": v["artifactID"], "digest": digest}}}

    def _GetDefaultEntity(self, v: dict[str, Any]) -> dict[str, Any]:
        return {"viewer": {"id": "u", "entity": ENTITY}}

    def _Runs(self, v: dict[str, Any]) -> dict[str, Any]:
        kind = json.loads(v["filters"])["jobType"]
        every = [run for run in self.runs.values() if run.project == v["project"]]
        found = [run for run in every if run.fields.get("jobType") == kind]
        first = int(v.get("cursor") or 0)
        last = first + min(v["perPage"], PAGE)
        edges = [
            {"node": self._node(run), "cursor": str(place)}
            for place, run in enumerate(found[first:last], start=first + 1)
        ]
        page = {"hasNextPage": last < len(found), "endCursor": str(last)}
        known = {"internalId": "1", "runCount": len(found), "readOnly": False}
        return {"project": known | {"runs": {"edges": edges, "pageInfo": page}}}

    def _node(self, run: ServedRun) -> dict[str, Any]:
        return {
            "id": _id("run", run.name),
            "projectId": "1",
            "tags": run.fields.get("tags") or [],
            "name": run.name,
            "displayName": run.fields.get("displayName"),
            "sweepName": None,
            "state": "finished" if run.complete else "running",
            "group": run.fields.get("groupName"),
            "jobType": run.fields.get("jobType"),
            "commit": None,
            "readOnly": False,
            "createdAt": "2026-01-01T00:00:00",
            "heartbeatAt": "2026-01-01T00:00:00",
            "description": None,
            "notes": None,
            "historyLineCount": len(run.history),
            "config": run.fields.get("config") or "{}",
            "systemMetrics": "{}",
            "summaryMetrics": json.dumps(run.summary),
            "historyKeys": self._keys(run),
            "user": {"name": ENTITY, "username": ENTITY},
        }

    def _keys(self, run: ServedRun) -> dict[str, Any]:
        names = {name for line in run.history for name in line}
        known = {name: {"typeCounts": [{"type": "number", "count": 1}]} for name in names}
        return {"keys": known, "sets": [], "lastStep": max(run.steps, default=-1)}

    def _RunHistoryKeys(self, v: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"run": {"historyKeys": self._keys(self.runs[v["name"]])}}}

    def _RunParquetHistory(self, v: dict[str, Any]) -> dict[str, Any]:
        lines = self.runs[v["runName"]].history
        return {"project": {"run": {"parquetHistory": {"parquetUrls": [], "liveData": lines}}}}

    def _HistoryPage(self, v: dict[str, Any]) -> dict[str, Any]:
        lines = self.runs[v["run"]].history
        found = [line for line in lines if v["minStep"] <= line["_step"] < v["maxStep"]]
        page = [json.dumps(line) for line in found[: min(v["pageSize"], SAMPLES)]]
        return {"project": {"run": {"history": page}}}

    def _UpsertView2(self, v: dict[str, Any]) -> dict[str, Any]:
        id_ = v.get("id") or _id("view", str(len(self.views)))
        inserted = id_ not in self.views
        self.views[id_] = v
        return {"upsertView": {"view": {"id": id_, "name": v["name"]}, "inserted": inserted}}

    def put(self, path: str, content: bytes) -> None:
        if path.startswith("/storage/"):
            _, _, run, file = path.split("/", 3)
            self.runs[run].files[file] = content
        else:
            self.stored[path] = content


def _id(kind: str, name: str) -> str:
    return base64.b64encode(f"{kind}:{name}".encode()).decode()


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def _body(self) -> bytes:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            packed = self.headers.get("Content-Encoding") == "gzip"
            return gzip.decompress(content) if packed else content

        def _answer(self, content: bytes, code: int = 200) -> None:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            content = self._body()
            if self.path.startswith("/sdk/otel/"):  # what the client tells of itself
                self._answer(b"{}")
                return
            request = json.loads(content or b"{}")
            with server.lock:
                if self.path == "/graphql":
                    name = request.get("operationName") or _operation(request["query"])
                    data = server.graphql(name, request["query"], request.get("variables") or {})
                    self._answer(json.dumps({"data": data}).encode())
                elif (found := _STREAM.fullmatch(self.path)) is not None:
                    server.stream(found[2], found[3], request)
                    try:
                        server.interrupt(request)
                    except ConnectionError:  # all arrived, but the client does not hear of it
                        self.close_connection = True
                        return
                    self._answer(b"{}")
                else:
                    server.unknown.append(f"POST {self.path}")
                    self._answer(b"{}", 404)

        def do_PUT(self) -> None:
            content = self._body()
            with server.lock:
                server.put(self.path.partition("?")[0], content)
            self._answer(b"")

        def do_GET(self) -> None:
            with server.lock:
                content = server.stored.get(self.path.partition("?")[0])
                if content is None:
                    server.unknown.append(f"GET {self.path}")
            self._answer(content or b"", 200 if content is not None else 404)

    return Handler


def _operation(query: str) -> str:
    found = re.search(r"(?:query|mutation)\s+(\w+)", query)
    return found[1] if found else "unnamed"


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # a client that was killed
            super().handle_error(request, client_address)


@contextmanager
def serve() -> Iterator[Server]:
    """A server on a free port of loopback, for as long as it is needed."""
    server = Server()
    http = _Quiet(("127.0.0.1", 0), _handler(server))
    server.url = f"http://127.0.0.1:{http.server_address[1]}"
    thread = threading.Thread(
        target=http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    )
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
