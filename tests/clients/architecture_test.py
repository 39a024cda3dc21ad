#!/usr/bin/env python3
"""The architecture as code, as a person uses it: plan, up, a change, drift, a kill, destroy, up again; and AWS's CLI."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support.house import BINARY, House  # noqa: E402

FILE = """name: shop
environments:
  stage: {cidr: 10.10.0.0/16}
groups:
  administrators: {roles: {management: [admin], security: [admin], shared-services: [admin], stage: [admin]}}
people:
  admin: {groups: [administrators]}
apps:
  web: {port: 8080}
"""

STACK = """Parameters:
  Days: {Type: Number, Default: 30}
Resources:
  Fn::ForEach::Logs:
    - Name
    - [one, two]
    - Log${Name}:
        Type: AWS::Logs::LogGroup
        Properties: {LogGroupName: !Sub "/own/${Name}", RetentionInDays: !Ref Days}
Transform: AWS::LanguageExtensions
"""


class Work:
    def __init__(self, house):
        self.house = house
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="bastide-architecture-"))
        (self.folder / "bastide.yaml").write_text(FILE)

    def run(self, *words, status=0, timeout=300):
        done = subprocess.run([str(BINARY), *words, "--home", self.house.home], capture_output=True, text=True,
                              timeout=timeout, stdin=subprocess.DEVNULL)
        assert done.returncode == status, f"{words}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def aws(self, account, *words, status=0):
        done = subprocess.run([str(BINARY), "aws", "--home", self.house.home, "--profile", f"up-{account}", *words],
                              capture_output=True, text=True, timeout=120)
        assert status is None or done.returncode == status, f"{words}: {done.stdout}\n{done.stderr}"
        return done.stdout


def stacks_only(work):
    """`up` ends in the pipeline, which needs an app: here its stacks alone matter."""
    done = subprocess.run([str(BINARY), "up", str(work.folder), "--home", work.house.home], capture_output=True, text=True,
                          timeout=300, stdin=subprocess.DEVNULL)
    return done.stdout + done.stderr


def main():
    if shutil.which("aws") is None:
        print("skipped: this machine has no aws command line")
        sys.exit(77)
    with House() as house:
        work = Work(house)
        try:
            everything(house, work)
        finally:
            shutil.rmtree(work.folder, ignore_errors=True)
    print("ok")


def everything(house, work):
    # Nothing is made yet: a plan says what would be, and makes nothing.
    assert "to add" in work.run("plan", str(work.folder), status=2)
    out = work.folder / "templates"
    work.run("synth", str(work.folder), "--out", str(out))
    first = {p: p.read_text() for p in out.rglob("*.yaml")}
    work.run("synth", str(work.folder), "--out", str(out))
    assert first == {p: p.read_text() for p in out.rglob("*.yaml")}, "synth is deterministic"

    made = stacks_only(work)
    assert "stack bastide-network" in made, made
    assert "No changes" in work.run("plan", str(work.folder)), "a second plan is clean"

    # An own template joins, and a mistake in it has its line.
    own = work.folder / "stacks" / "stage" / "notes.yaml"
    own.parent.mkdir(parents=True)
    own.write_text("Resources:\n  L:\n    Type: AWS::Logs::LogGroup\n    Properties:\n      RetentionDays: 3\n")
    wrong = work.run("plan", str(work.folder), status=1)
    assert "notes.yaml:5:7:" in wrong and "RetentionDays" in wrong, wrong
    own.write_text(STACK)
    plan = json.loads(work.run("plan", str(work.folder), "--json", status=2))
    assert [s["action"] for s in plan["stacks"] if s["name"] == "notes"] == ["create"], plan
    stacks_only(work)
    assert "/own/two" in work.aws("stage", "logs", "describe-log-groups", "--log-group-name-prefix", "/own/")

    # What is changed by hand is drift, until it is changed back.
    work.aws("stage", "logs", "put-retention-policy", "--log-group-name", "/own/one", "--retention-in-days", "7")
    drift = json.loads(work.run("drift", str(work.folder), "--json", status=2))
    assert [(d["logical"], d["properties"][0]["actual"]) for d in drift] == [("Logone", "7")], drift
    work.aws("stage", "logs", "put-retention-policy", "--log-group-name", "/own/one", "--retention-in-days", "30")
    work.run("drift", str(work.folder))

    # kill -9 of everything in the middle of an update: the next up completes it.
    own.write_text(STACK.replace("[one, two]", "[" + ", ".join(f"n{i}" for i in range(60)) + "]"))
    up = subprocess.Popen([str(BINARY), "up", str(work.folder), "--home", house.home], stdout=subprocess.DEVNULL,
                          stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    for _ in range(200):
        if "n5" in work.aws("stage", "logs", "describe-log-groups", "--log-group-name-prefix", "/own/n", status=None):
            break
        time.sleep(0.02)
    os.kill(house.role_pid("control"), signal.SIGKILL)
    up.kill()
    up.wait()
    for _ in range(300):
        try:
            if house.http("GET", "/health", timeout=2)[0] == 200:
                break
        except OSError:
            pass
        time.sleep(0.05)
    stacks_only(work)
    groups = json.loads(work.aws("stage", "logs", "describe-log-groups", "--log-group-name-prefix", "/own/", "--output", "json"))
    assert len(groups["logGroups"]) == 60, len(groups["logGroups"])
    assert "No changes" in work.run("plan", str(work.folder))

    # What the file names no more goes.
    own.unlink()
    assert "notes  delete" in work.run("plan", str(work.folder), status=2)
    stacks_only(work)
    assert "/own/" not in work.aws("stage", "logs", "describe-log-groups", "--log-group-name-prefix", "/own/")

    # AWS's own command line: a stack policy, drift, a change set of type IMPORT, wait.
    template = work.folder / "logs.json"
    template.write_text(json.dumps({"Resources": {"A": {"Type": "AWS::Logs::LogGroup", "DeletionPolicy": "Retain", "Properties": {"LogGroupName": "/cli/a", "RetentionInDays": 5}}}}))
    work.aws("stage", "logs", "create-log-group", "--log-group-name", "/cli/a")
    work.aws("stage", "cloudformation", "create-change-set", "--stack-name", "cli", "--change-set-name", "import", "--change-set-type", "IMPORT",
             "--template-body", f"file://{template}", "--resources-to-import",
             json.dumps([{"ResourceType": "AWS::Logs::LogGroup", "LogicalResourceId": "A", "ResourceIdentifier": {"LogGroupName": "/cli/a"}}]))
    work.aws("stage", "cloudformation", "execute-change-set", "--stack-name", "cli", "--change-set-name", "import")
    work.aws("stage", "cloudformation", "wait", "stack-import-complete", "--stack-name", "cli")
    found = work.aws("stage", "cloudformation", "detect-stack-drift", "--stack-name", "cli", "--output", "text").strip()
    for _ in range(50):
        state = json.loads(work.aws("stage", "cloudformation", "describe-stack-drift-detection-status", "--stack-drift-detection-id", found, "--output", "json"))
        if state["DetectionStatus"] != "DETECTION_IN_PROGRESS":
            break
        time.sleep(0.1)
    assert state["StackDriftStatus"] == "DRIFTED", "the group that was taken up has no retention"
    template.write_text(template.read_text().replace('"RetentionInDays": 5', '"RetentionInDays": 14'))
    work.aws("stage", "cloudformation", "set-stack-policy", "--stack-name", "cli", "--stack-policy-body", '{"Statement":[]}')
    refused = work.aws("stage", "cloudformation", "deploy", "--stack-name", "cli", "--template-file", str(template), status=None)
    assert "UPDATE_ROLLBACK_COMPLETE" in work.aws("stage", "cloudformation", "describe-stacks", "--stack-name", "cli"), refused
    work.aws("stage", "cloudformation", "set-stack-policy", "--stack-name", "cli", "--stack-policy-body",
             '{"Statement":[{"Effect":"Allow","Action":"Update:*","Principal":"*","Resource":"*"}]}')
    work.aws("stage", "cloudformation", "deploy", "--stack-name", "cli", "--template-file", str(template))
    assert "14" in work.aws("stage", "logs", "describe-log-groups", "--log-group-name-prefix", "/cli/a")
    work.aws("stage", "cloudformation", "delete-stack", "--stack-name", "cli")
    work.aws("stage", "cloudformation", "wait", "stack-delete-complete", "--stack-name", "cli")

    # A nested stack, its template in S3; what it tells goes up, and it goes with its parent.
    child, parent = work.folder / "child.json", work.folder / "parent.json"
    child.write_text(json.dumps({"Parameters": {"Name": {"Type": "String"}}, "Resources": {"L": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": {"Ref": "Name"}}}},
                                 "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["L", "Arn"]}}}}))
    parent.write_text(json.dumps({"Resources": {"Child": {"Type": "AWS::CloudFormation::Stack", "Properties": {"TemplateURL": house.endpoint + "/shop-templates/child.json", "Parameters": {"Name": "/nested/a"}}}},
                                  "Outputs": {"Arn": {"Value": {"Fn::GetAtt": ["Child", "Outputs.Arn"]}}}}))
    work.aws("stage", "s3api", "create-bucket", "--bucket", "shop-templates")
    work.aws("stage", "s3api", "put-object", "--bucket", "shop-templates", "--key", "child.json", "--body", str(child))
    work.aws("stage", "cloudformation", "deploy", "--stack-name", "nest", "--template-file", str(parent))
    described = work.aws("stage", "cloudformation", "describe-stacks", "--output", "json")
    stacks = {s["StackName"]: s for s in json.loads(described)["Stacks"]}
    assert stacks["nest"]["Outputs"][0]["OutputValue"].endswith(":log-group:/nested/a:*"), stacks["nest"]
    nested = [s for s in stacks.values() if s.get("ParentId") == stacks["nest"]["StackId"]]
    assert len(nested) == 1 and nested[0]["StackName"].startswith("nest-Child-"), described
    work.aws("stage", "cloudformation", "delete-stack", "--stack-name", "nest")
    work.aws("stage", "cloudformation", "wait", "stack-delete-complete", "--stack-name", "nest")
    assert "nested" not in work.aws("stage", "logs", "describe-log-groups", "--log-group-name-prefix", "/nested/")

    # Nobody may do it, administrators neither: a service control policy of the file.
    (work.folder / "bastide.yaml").write_text(FILE + "policies:\n  no-users: {accounts: [environments], deny: ['iam:CreateUser']}\n")
    stacks_only(work)
    assert work.aws("stage", "iam", "create-user", "--user-name", "eve", status=None) == ""
    (work.folder / "bastide.yaml").write_text(FILE)
    stacks_only(work)
    assert "eve" in work.aws("stage", "iam", "create-user", "--user-name", "eve")

    # Destroyed, and made again: what was retained is taken up.
    assert "without a terminal say --yes" in work.run("destroy", str(work.folder), status=1)
    kept = work.run("destroy", str(work.folder), "--yes")
    assert "AWS::KMS::Key" in kept, kept
    assert "No changes" not in work.run("plan", str(work.folder), status=2)
    again = stacks_only(work)
    assert "AlreadyExists" not in again, again
    assert "No changes" in work.run("plan", str(work.folder), "--no-drift")


if __name__ == "__main__":
    main()
