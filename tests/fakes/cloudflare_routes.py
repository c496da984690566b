"""What the fake of Cloudflare's API answers to each call that wrangler makes."""

from __future__ import annotations

import email
import email.policy
import hashlib
import json
import sqlite3
import uuid
from collections.abc import Callable
from typing import Any

from fakes.cloudflare_account import NOW, Call, CloudflareAccount, Refused

# A token that says nothing: {} signed by nobody.
JWT = "e30.e30.e30"
Handler = Callable[[CloudflareAccount, Call], Any]


def verify_token(_account: CloudflareAccount, _call: Call) -> Any:
    """Answer `GET /user/tokens/verify`."""
    return {"id": "token", "status": "active"}


def read_user(_account: CloudflareAccount, _call: Call) -> Any:
    """Answer `GET /user`."""
    return {"email": "operator@example.com"}


def list_accounts(account: CloudflareAccount, _call: Call) -> Any:
    """Answer `GET /accounts`."""
    return account.accounts


def list_memberships(account: CloudflareAccount, _call: Call) -> Any:
    """Answer `GET /memberships`."""
    return [{"account": each, "roles": []} for each in account.accounts]


def create_bucket(account: CloudflareAccount, call: Call) -> Any:
    """Answer `POST /r2/buckets`."""
    name = call.json()["name"]
    if name in account.buckets:
        raise Refused(409, 10004, "The bucket you tried to create already exists, and you own it.")
    account.buckets[name] = 0
    account.rules[name] = []
    return {"name": name, "creation_date": NOW}


def list_buckets(account: CloudflareAccount, call: Call) -> Any:
    """Answer `GET /r2/buckets`."""
    return {"buckets": [{"name": name, "creation_date": NOW} for name in account.buckets]}


def read_bucket(account: CloudflareAccount, call: Call) -> Any:
    """Answer `GET /r2/buckets/{name}`."""
    _require_bucket(account, call.parts[0])
    return {"name": call.parts[0], "creation_date": NOW}


def delete_bucket(account: CloudflareAccount, call: Call) -> Any:
    """Answer `DELETE /r2/buckets/{name}`."""
    (name,) = call.parts
    _require_bucket(account, name)
    if account.buckets[name]:
        raise Refused(409, 10008, "The bucket you tried to delete is not empty.")
    del account.buckets[name], account.rules[name]
    return {}


def list_rules(account: CloudflareAccount, call: Call) -> Any:
    """Answer `GET /r2/buckets/{name}/lifecycle`."""
    (name,) = call.parts
    _require_bucket(account, name)
    return {"rules": account.rules[name]}


def put_rules(account: CloudflareAccount, call: Call) -> Any:
    """Answer `PUT /r2/buckets/{name}/lifecycle`."""
    (name,) = call.parts
    _require_bucket(account, name)
    account.rules[name] = call.json()["rules"]
    return {}


def list_databases(account: CloudflareAccount, call: Call) -> Any:
    """Answer `GET /d1/database`, one page."""
    page, size = int(call.query["page"][0]), int(call.query["per_page"][0])
    found = [{"name": name, "uuid": key} for name, key in account.databases.items()]
    return found[(page - 1) * size : page * size]


def create_database(account: CloudflareAccount, call: Call) -> Any:
    """Answer `POST /d1/database`."""
    name = call.json()["name"]
    if name in account.databases:
        raise Refused(400, 7502, "A database with that name already exists")
    account.databases[name] = str(uuid.uuid4())
    return {"name": name, "uuid": account.databases[name]}


def read_database(account: CloudflareAccount, call: Call) -> Any:
    """Answer `GET /d1/database/{id or name}`."""
    (wanted,) = call.parts
    for name, key in account.databases.items():
        if wanted in (name, key):
            return {"name": name, "uuid": key}
    raise Refused(404, 7404, f"The database {wanted} could not be found")


def delete_database(account: CloudflareAccount, call: Call) -> Any:
    """Answer `DELETE /d1/database/{id}`."""
    found = read_database(account, call)
    del account.databases[found["name"]]
    return {}


def query_database(account: CloudflareAccount, call: Call) -> Any:
    """Answer `POST /d1/database/{id}/query`: run statements, all or none."""
    read_database(account, call)
    return [_run(account, call.json()["sql"])]


def import_file(account: CloudflareAccount, call: Call) -> Any:
    """Answer `POST /d1/database/{id}/import`: take a file in, run it."""
    read_database(account, call)
    asked = call.json()
    path = f"/upload/{asked['etag']}.sql"
    if asked["action"] == "init":
        return {"upload_url": account.origin + path, "filename": path}
    text = account.uploads[path]
    assert asked["etag"] == hashlib.md5(text, usedforsecurity=False).hexdigest()
    meta = _run(account, text.decode())["meta"]
    result = {"num_queries": 1, "final_bookmark": "0", "meta": meta}
    return {"success": True, "status": "complete", "messages": [], "result": result}


def list_queues(account: CloudflareAccount, call: Call) -> Any:
    """Answer `GET /queues`: all, or those of the names that are given."""
    wanted = call.query.get("name", list(account.queues))
    return [_queue(account, name) for name in account.queues if name in wanted]


def create_queue(account: CloudflareAccount, call: Call) -> Any:
    """Answer `POST /queues`."""
    name = call.json()["queue_name"]
    if name in account.queues:
        raise Refused(409, 11009, f"Queue name '{name}' is already taken.")
    account.queues[name] = hashlib.sha256(name.encode()).hexdigest()[:32]
    return _queue(account, name)


def delete_queue(account: CloudflareAccount, call: Call) -> Any:
    """Answer `DELETE /queues/{id}`."""
    name = _queue_of(account, call.parts[0])
    if name in account.consumers:
        raise Refused(400, 11005, "Queue has consumers")
    del account.queues[name]
    return {}


def put_consumer(account: CloudflareAccount, call: Call) -> Any:
    """Answer `POST` and `PUT` of `/queues/{id}/consumers`."""
    name = _queue_of(account, call.parts[0])
    asked = call.json()
    account.consumers[name] = {
        **asked,
        "consumer_id": f"consumer-of-{name}",
        "script": asked["script_name"],
    }
    return account.consumers[name]


def list_consumers(account: CloudflareAccount, call: Call) -> Any:
    """Answer `GET /queues/{id}/consumers`."""
    found = account.consumers.get(_queue_of(account, call.parts[0]))
    return [found] if found else []


def delete_consumer(account: CloudflareAccount, call: Call) -> Any:
    """Answer `DELETE /queues/{id}/consumers/{consumer}`."""
    del account.consumers[_queue_of(account, call.parts[0])]
    return {}


def read_service(account: CloudflareAccount, call: Call) -> Any:
    """Answer `GET /workers/services/{name}`."""
    _require_script(account, call.parts[0])
    script = {"tag": "tag", "tags": None, "last_deployed_from": "wrangler"}
    return {"default_environment": {"environment": "production", "script": script}}


def delete_service(account: CloudflareAccount, call: Call) -> Any:
    """Answer `DELETE /workers/services/{name}`."""
    _require_script(account, call.parts[0])
    if account.consumers:
        raise Refused(400, 10064, "Cannot delete this Worker as it is a consumer for a Queue.")
    del account.scripts[call.parts[0]]
    account.bindings.clear()
    account.secrets.clear()
    return {}


def put_script(account: CloudflareAccount, call: Call) -> Any:
    """Answer an upload of a Worker; refuse bindings to what is not there."""
    head = b"Content-Type: " + call.content_type.encode() + b"\r\n\r\n"
    upload = email.message_from_bytes(head + call.body, policy=email.policy.HTTP)
    form: dict[Any, Any] = {
        part.get_param("name", header="content-disposition"): part.get_payload(decode=True)
        for part in upload.iter_parts()
    }
    metadata = json.loads(form["metadata"])
    bindings = [_inherited(account, each) for each in metadata["bindings"]]
    for binding in bindings:
        if binding["type"] == "d1" and binding["id"] not in account.databases.values():
            raise Refused(400, 10021, "binding DB of type d1 must have a valid `id` specified")
        if binding["type"] == "r2_bucket" and binding["bucket_name"] not in account.buckets:
            raise Refused(400, 10085, f"R2 bucket '{binding['bucket_name']}' not found.")
        if binding["type"] == "queue" and binding["queue_name"] not in account.queues:
            raise Refused(400, 11000, f"Queue {binding['queue_name']} does not exist")
    account.scripts[call.parts[0]] = form[metadata["main_module"]]
    account.bindings = bindings
    return {
        "id": "11111111-1111-1111-1111-111111111111",
        "tag": "tag",
        "etag": "etag",
        "deployment_id": "0" * 32,
        "startup_time_ms": 1,
        "resources": {"script": {"etag": "etag"}},
    }


def begin_assets(account: CloudflareAccount, call: Call) -> Any:
    """Answer `POST /workers/scripts/{name}/assets-upload-session`: has all files already."""
    account.assets = list(call.json()["manifest"])
    return {"jwt": JWT, "buckets": []}


def read_worker(account: CloudflareAccount, call: Call) -> Any:
    """Answer `GET /workers/workers/{name}`."""
    _require_script(account, call.parts[0])
    return {"name": call.parts[0], "subdomain": {"enabled": True, "previews_enabled": False}}


def empty_object(_account: CloudflareAccount, _call: Call) -> Any:
    """Answer what changes nothing here."""
    return {}


def put_schedules(account: CloudflareAccount, call: Call) -> Any:
    """Answer `PUT /workers/scripts/{name}/schedules`."""
    account.crons = [each["cron"] for each in call.json()]
    return {}


def read_subdomain(_account: CloudflareAccount, _call: Call) -> Any:
    """Answer what is asked about workers.dev."""
    return {"enabled": True, "previews_enabled": False, "subdomain": "operator"}


def list_secrets(account: CloudflareAccount, call: Call) -> Any:
    """Answer `GET /workers/scripts/{name}/secrets`."""
    _require_script(account, call.parts[0])
    return [{"name": name, "type": "secret_text"} for name in account.secrets]


def put_secret(account: CloudflareAccount, call: Call) -> Any:
    """Answer `PUT /workers/scripts/{name}/secrets`."""
    _require_script(account, call.parts[0])
    asked = call.json()
    account.secrets[asked["name"]] = asked["text"]
    return {"name": asked["name"], "type": "secret_text"}


def list_deployments(_account: CloudflareAccount, _call: Call) -> Any:
    """Answer `GET /workers/scripts/{name}/deployments`: none to be careful about."""
    return {"deployments": []}


def read_references(_account: CloudflareAccount, _call: Call) -> Any:
    """Answer who depends on a Worker: nobody."""
    return {}


def read_settings(account: CloudflareAccount, call: Call) -> Any:
    """Answer `GET /workers/scripts/{name}/settings`: the bindings of what is deployed."""
    _require_script(account, call.parts[0])
    return {"bindings": account.bindings}


def empty_list(_account: CloudflareAccount, _call: Call) -> Any:
    """Answer what wrangler asks about products that this Worker has no part in."""
    return []


def _inherited(account: CloudflareAccount, binding: dict[str, Any]) -> dict[str, Any]:
    """Return a binding, or the deployed one of its name where it is to be inherited."""
    if binding["type"] != "inherit":
        return binding
    for known in account.bindings:
        if known["name"] == binding["name"]:
            return known
    raise Refused(400, 10057, f"binding {binding['name']} cannot be inherited: there is none")


def _require_bucket(account: CloudflareAccount, name: str) -> None:
    if name not in account.buckets:
        raise Refused(404, 10006, "The specified bucket does not exist.")


def _require_script(account: CloudflareAccount, name: str) -> None:
    if name not in account.scripts:
        raise Refused(404, 10007, "This Worker does not exist on your account.")


def _queue_of(account: CloudflareAccount, key: str) -> str:
    for name, known in account.queues.items():
        if known == key:
            return name
    raise Refused(404, 11000, f"no queue {key}")


def _queue(account: CloudflareAccount, name: str) -> dict[str, Any]:
    consumer = account.consumers.get(name)
    consumers = [{"type": "worker", **consumer}] if consumer else []
    return {
        "queue_id": account.queues[name],
        "queue_name": name,
        "created_on": NOW,
        "modified_on": NOW,
        "producers_total_count": 0,
        "producers": [],
        "consumers_total_count": len(consumers),
        "consumers": consumers,
    }


def _run(account: CloudflareAccount, text: str) -> dict[str, Any]:
    """Run the statements of a text and return the last one's rows, as D1 does."""
    rows: list[dict[str, Any]] = []
    statement = ""
    try:
        for piece in text.split(";"):
            statement += f"{piece};"
            if sqlite3.complete_statement(statement):
                cursor = account.sql.execute(statement)
                names = [each[0] for each in cursor.description or ()]
                rows = [dict(zip(names, row, strict=True)) for row in cursor]
                statement = ""
    except sqlite3.Error as error:
        raise Refused(400, 7500, f"{error}: SQLITE_ERROR") from error
    meta = {"duration": 1.0, "rows_read": 0, "rows_written": 0, "size_after": 4096, "changes": 0}
    return {"success": True, "results": rows, "meta": meta}


_BUCKET = r"/r2/buckets/([^/]+)"
_DATABASE = r"/d1/database/([^/]+)"
_QUEUE = r"/queues/([^/]+)"
_SCRIPT = r"/workers/scripts/([^/]+)"
_SERVICE = r"/workers/services/([^/]+)"

ROUTES: list[tuple[str, str, Handler]] = [
    ("GET", "/client/v4/user/tokens/verify", verify_token),
    ("GET", "/client/v4/user", read_user),
    ("GET", "/client/v4/accounts", list_accounts),
    ("GET", "/client/v4/memberships", list_memberships),
    ("GET", "/r2/buckets", list_buckets),
    ("POST", "/r2/buckets", create_bucket),
    ("GET", _BUCKET, read_bucket),
    ("DELETE", _BUCKET, delete_bucket),
    ("GET", f"{_BUCKET}/lifecycle", list_rules),
    ("PUT", f"{_BUCKET}/lifecycle", put_rules),
    ("GET", "/d1/database", list_databases),
    ("POST", "/d1/database", create_database),
    ("GET", _DATABASE, read_database),
    ("DELETE", _DATABASE, delete_database),
    ("POST", f"{_DATABASE}/query", query_database),
    ("POST", f"{_DATABASE}/import", import_file),
    ("GET", "/queues", list_queues),
    ("POST", "/queues", create_queue),
    ("DELETE", _QUEUE, delete_queue),
    ("GET", f"{_QUEUE}/consumers", list_consumers),
    ("POST", f"{_QUEUE}/consumers", put_consumer),
    ("PUT", f"{_QUEUE}/consumers/([^/]+)", put_consumer),
    ("DELETE", f"{_QUEUE}/consumers/([^/]+)", delete_consumer),
    ("GET", _SERVICE, read_service),
    ("DELETE", _SERVICE, delete_service),
    ("PUT", _SCRIPT, put_script),
    ("POST", f"{_SCRIPT}/assets-upload-session", begin_assets),
    ("POST", f"{_SCRIPT}/versions", put_script),
    ("POST", f"{_SCRIPT}/deployments", empty_object),
    ("PATCH", f"{_SCRIPT}/script-settings", empty_object),
    ("GET", "/workers/workers/([^/]+)", read_worker),
    ("GET", "/storage/kv/namespaces", empty_list),
    ("PUT", f"{_SCRIPT}/schedules", put_schedules),
    ("GET", f"{_SCRIPT}/secrets", list_secrets),
    ("PUT", f"{_SCRIPT}/secrets", put_secret),
    ("GET", f"{_SCRIPT}/subdomain", read_subdomain),
    ("POST", f"{_SCRIPT}/subdomain", read_subdomain),
    ("GET", "/workers/subdomain", read_subdomain),
    ("GET", f"{_SCRIPT}/deployments", list_deployments),
    ("GET", f"{_SCRIPT}/references", read_references),
    ("GET", f"{_SCRIPT}/settings", read_settings),
    ("GET", "/workers/tails/by-consumer/([^/]+)", empty_list),
    ("GET", "/workers/durable_objects/namespaces", empty_list),
]
