#!/usr/bin/env python3
"""Counts by hand what each rule of this example must match, without Eventyard.

One plain function a rule says in Python what the rule's author meant. Prints JSON:
    python3 examples/github/expected.py > examples/github/expected.json
A test compares both with what the daemon does.
"""
import json
import pathlib
import re


def get(value, path):
    """All scalars at a dotted path, looking into lists."""
    for key in path.split("."):
        value = [v[key] for item in (value if isinstance(value, list) else [value])
                 for v in (item if isinstance(item, list) else [item])
                 if isinstance(v, dict) and key in v]
    flat = []

    def collect(v):
        if isinstance(v, list):
            for item in v:
                collect(item)
        elif not isinstance(v, dict):
            flat.append(v)
    collect(value)
    return flat


def one(event, path):
    found = get(event, path)
    return found[0] if found else None


def pull_request(event, *actions):
    return event["detail-type"] == "pull_request" and event["detail"]["action"] in actions


def failed(detail):
    bad = {"failure", "timed_out"}
    return (one(detail, "check_run.conclusion") in bad or one(detail, "check_suite.conclusion") in bad
            or one(detail, "workflow_job.conclusion") in bad
            or one(detail, "workflow_run.conclusion") in bad | {"action_required"}
            or detail.get("state") in ("failure", "error"))


def severe(kind, detail):
    if not (kind.endswith("_alert") or kind == "security_advisory"):
        return False
    if detail["action"] in ("fixed", "dismiss", "dismissed", "resolve", "withdrawn", "closed_by_user"):
        return False
    alert = detail.get("alert", {})
    high = ("moderate", "medium", "high", "critical")
    return (one(alert, "security_advisory.severity") in high[1:] or one(alert, "rule.severity") == "error"
            or alert.get("severity") in high or one(detail, "security_advisory.severity") in high)


def default_bug(issue):
    return any(label["name"] == "bug" and label["default"] is True for label in issue.get("labels", []))


RULES = {
    "merged-pull-requests": lambda e, k, d: pull_request(e, "closed") and d["pull_request"]["merged"] is True,
    "abandoned-pull-requests": lambda e, k, d: pull_request(e, "closed") and d["pull_request"]["merged"] is False,
    "big-diffs": lambda e, k, d: pull_request(e, "opened", "reopened", "synchronize", "ready_for_review")
        and (d["pull_request"]["additions"] >= 500 or d["pull_request"]["deletions"] >= 500
             or d["pull_request"]["changed_files"] > 50),
    "quick-reviews": lambda e, k, d: pull_request(e, "opened", "reopened", "ready_for_review")
        and d["pull_request"]["draft"] is False and 0 < d["pull_request"]["changed_files"] <= 3
        and not d["pull_request"]["requested_reviewers"],
    "failed-checks": lambda e, k, d: failed(d),
    "reruns-by-people": lambda e, k, d: k in ("check_run", "check_suite") and d["action"] == "rerequested"
        and not d["sender"]["login"].endswith(("[bot]", "-bot")),
    "self-hosted-jobs": lambda e, k, d: k == "workflow_job" and d["action"] in ("queued", "waiting")
        and {"self-hosted", "k8s"} <= set(d["workflow_job"]["labels"]),
    "releases": lambda e, k, d: k == "release" and d["action"] == "published"
        and not d["release"]["prerelease"] and not d["release"]["draft"]
        and re.fullmatch(r"v?\d+\.\d+\.\d+", d["release"]["tag_name"]) is not None,
    "pushes-to-default-branch": lambda e, k, d: k == "push"
        and d["ref"] in ("refs/heads/main", "refs/heads/master") and d["deleted"] is False
        and d["repository"]["full_name"].lower().startswith("codertocat/"),
    "tag-changes": lambda e, k, d: k in ("create", "delete", "push")
        and (d.get("ref_type") == "tag" or d["ref"].startswith("refs/tags/")),
    "production-deployments": lambda e, k, d: k == "deployment_status"
        and d["deployment_status"]["state"] == "success"
        and d["deployment_status"]["environment"].lower() == "production",
    "security-alerts": lambda e, k, d: severe(k, d),
    "access-changes": lambda e, k, d: k.startswith(("member", "installation"))
        or k in ("team_add", "org_block", "deploy_key", "github_app_authorization"),
    "made-public": lambda e, k, d: k == "public" or (k == "repository" and d["action"] == "publicized"),
    "hooks-to-review": lambda e, k, d: k in ("meta", "ping")
        and ("secret" in d.get("hook", {}).get("config", {}) or "actor_ip" in d),
    "readme-bugs": lambda e, k, d: k == "issues" and d["action"] == "opened"
        and "README" in d["issue"]["title"] and default_bug(d["issue"]),
    "unlabelled-issues": lambda e, k, d: k == "issues" and d["action"] not in ("deleted", "transferred")
        and not {label["name"] for label in d["issue"].get("labels", [])} & {"bug", "enhancement", "question"},
    "fans-of-personal-projects": lambda e, k, d: k in ("star", "watch", "fork")
        and d.get("action", "created") in ("created", "started") and "organization" not in d,
    "audit-everything": lambda e, k, d: True,
}


def main():
    here = pathlib.Path(__file__).parent
    events = [json.loads(line) for line in (here / "events.jsonl").read_text(encoding="utf-8").split("\n") if line]
    counts = {name: sum(bool(rule(e, e["detail-type"], e["detail"])) for e in events)
              for name, rule in RULES.items()}
    print(json.dumps({"events": len(events), "matched": counts}, indent=2))


if __name__ == "__main__":
    main()
