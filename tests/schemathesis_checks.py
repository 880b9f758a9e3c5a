"""When an answer that schemathesis.toml excepts from a check is right: what the contract knows, and a status doesn't."""

import schemathesis

# Of data that fits the document: which field alone may be refused, by call.
REFUSED = {
    "createTask": ["parentVtid"],  # no task has it
    "patchTask": ["metadata"],  # too much, once merged
    "listTasks": ["cursor"],  # no list gave it out
}


# VTIDs that were given out: such a task is there.
given_out = set()


@schemathesis.check
def refused_for_the_reason_in_the_configuration(ctx, response, case):
    operation = case.operation.definition.raw["operationId"]
    if response.status_code == 400 and case.meta is not None and case.meta.generation.mode.is_positive:
        refused = [fault["path"] for fault in response.json()["detail"]]
        if operation == "getConsistency":
            assert case.query["from"] > case.query["to"], f"valid data was refused: {response.text}"
            assert refused == [["from"]], f"{response.text}"
            return
        assert refused == [REFUSED.get(operation)], f"valid data was refused: {response.text}"
    if response.status_code == 503:
        asked = {name.lower() for name in case.headers or {}}
        assert response.json()["code"] == "read_behind", f"{response.text}"
        unsealed = operation in ("getProof", "getEventProof")
        assert unsealed or "ledger-min-position" in asked, "no position was asked for that could be missing"
    if operation == "createTask" and response.status_code == 200:
        given_out.add(response.json()["vtid"])
    if response.status_code == 404 and operation in ("getTask", "patchTask"):
        assert response.json()["code"] == "vtid_not_found", f"{response.text}"
        asked = (case.path_parameters or {}).get("vtid")
        assert asked not in given_out, f"{asked} was given out, and is not found"
    asked_for = {name.lower() for name in case.headers or {}}
    for status, header in ((304, "if-none-match"), (412, "if-match"), (422, "idempotency-key")):
        if response.status_code == status:
            assert header in asked_for, f"{status} without {header}"
    if response.status_code == 412:
        assert response.headers["etag"] == [f'"v{response.json()["detail"]["current"]}"'], f"{response.headers}"
    if response.status_code == 409:
        detail = response.json()["detail"]
        assert detail["to"] == case.body["status"] != detail["from"], f"{response.text}"
        assert detail["to"] not in detail["allowed"], f"{response.text}"
