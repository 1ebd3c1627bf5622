"""What is under deploy/ is well formed, agrees with itself and with the program, and works when its
very commands are run as processes. (Containers cannot run where the tests do.)
"""

from __future__ import annotations

import configparser
import json
import re
import shutil
import stat
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its stubs are not among our tools
import kubernetes_validate
import pytest
import yaml

from queryrun.settings import Settings
from queryrun.settings.checks import size_bytes
from queryrun.settings.file import load
from tests import postgres_server as postgres
from tests.docs.composed import (
    DEPLOY,
    QUERYRUN,
    ROOT,
    Composed,
    commands_before_compose,
    compose_file,
    composed,
    entrypoint,
    first_client_command,
    seconds,
)
from tests.ports import free_port
from tests.postgres_server import postgres_server as postgres_server  # a fixture
from tests.s3_server import S3Server
from tests.s3_server import s3_server as s3_server  # a fixture

SERVICES = compose_file()["services"]
NODES = ("node-1", "node-2")
CLOSE_S = 15
"""The longest that a node takes after its drain, to close connections and the database."""
KUBERNETES = DEPLOY / "kubernetes"
KUBERNETES_VERSION = "1.37"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))


# --- compose --------------------------------------------------------------------------------


def test_compose_is_valid_by_its_specification() -> None:
    text = (ROOT / "tests/docs/schemas/compose-spec.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    jsonschema.Draft202012Validator(schema).validate(compose_file())


def test_the_nodes_configuration_is_one_that_the_program_takes(tmp_path: Path) -> None:
    settings = settings_of(DEPLOY / "queryrun.toml", tmp_path)
    assert settings.is_shared
    assert settings.results.store == "s3"


@pytest.mark.parametrize("node", NODES)
def test_compose_waits_longer_than_a_node_drains(node: str, tmp_path: Path) -> None:
    drain_timeout_s = settings_of(DEPLOY / "queryrun.toml", tmp_path).server.drain_timeout_s
    assert seconds(SERVICES[node]["stop_grace_period"]) > drain_timeout_s + CLOSE_S


@pytest.mark.parametrize("node", NODES)
def test_a_composed_node_has_memory_for_all_its_slots(node: str, tmp_path: Path) -> None:
    settings = settings_of(DEPLOY / "queryrun.toml", tmp_path)
    limit = SERVICES[node]["deploy"]["resources"]["limits"]["memory"]
    assert size_bytes(limit + "iB", "memory") > memory_of_slots(settings)


def test_every_service_has_a_health_check_limits_and_a_restart_policy() -> None:
    for name, service in SERVICES.items():
        if "profiles" in service:
            continue
        assert service["healthcheck"]["test"][0] == "CMD", name
        assert {"cpus", "memory", "pids"} <= set(service["deploy"]["resources"]["limits"]), name
        assert service["restart"] == "unless-stopped", name
        assert service["cap_drop"] == ["ALL"], name


def test_every_image_is_of_one_version() -> None:
    """Nothing changes when compose.yaml has not changed."""
    for name, service in SERVICES.items():
        assert re.search(r":v?\d+[\d.]*$", service["image"]), name


def test_plain_http_is_published_on_loopback_alone_and_services_behind_it_reach_nothing() -> None:
    for name, service in SERVICES.items():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", ())), name
        assert "back" in service["networks"], name
        assert ("front" in service["networks"]) == (name in NODES), name
    assert compose_file()["networks"]["back"]["internal"] is True


def test_in_a_cluster_the_sandbox_is_required_and_metrics_need_a_token(tmp_path: Path) -> None:
    server = settings_of(KUBERNETES / "base/queryrun.toml", tmp_path).server
    assert server.sandbox == "required"
    assert server.metrics_token_file
    assert not server.serve_docs


def test_secrets_are_files_and_no_service_has_one_in_its_environment() -> None:
    variables = {
        name: value
        for one in SERVICES.values()
        for name, value in one.get("environment", {}).items()
    }
    suspect = [name for name in variables if re.search("PASSWORD|SECRET|KEY|TOKEN", name)]
    assert [name for name in suspect if not name.endswith("_FILE")] == []


def test_the_script_makes_every_secret_that_compose_mounts(tmp_path: Path) -> None:
    made = tmp_path / "secrets"
    subprocess.run([DEPLOY / "secrets.sh", made], check=True)
    expected = {Path(one["file"]).name for one in compose_file()["secrets"].values()}
    assert {path.name for path in made.iterdir()} == expected
    assert stat.S_IMODE(made.stat().st_mode) == 0o700
    assert len(bytes.fromhex((made / "link-key").read_text())) == 32
    again = subprocess.run([DEPLOY / "secrets.sh", made], capture_output=True, check=False)
    assert again.returncode != 0, "secrets in use are never replaced by accident"


@pytest.fixture
def cluster(s3_server: S3Server, tmp_path: Path) -> Iterator[Composed]:
    """PostgreSQL with compose's options, its S3 server, and nothing behind Trino's name."""
    command = SERVICES["postgres"]["command"]
    options = dict(word.split("=") for word in command if "=" in word)
    with postgres.running(**options) as server:
        environ = SERVICES["postgres"]["environment"]
        server.execute(f"CREATE ROLE {environ['POSTGRES_USER']} LOGIN")
        server.execute(f"CREATE DATABASE {environ['POSTGRES_DB']} OWNER {environ['POSTGRES_USER']}")
        hosts = {
            "postgres:5432": f"127.0.0.1:{server.port}",
            "s3:7070": f"127.0.0.1:{free_port()}",
            "trino:8080": f"127.0.0.1:{free_port()}",
        }
        with composed(tmp_path, hosts) as services:
            services.start_s3()
            services.wait_until_healthy("s3")
            yield services


def test_the_composed_commands_make_a_cluster(cluster: Composed) -> None:
    """A run submitted to one node is read from the other, and outlives the first."""
    for node in NODES:
        cluster.start(node)
    for node in NODES:
        cluster.wait_until_healthy(node)
    for command in commands_before_compose():
        cluster.prepare(command)
    issued = json.loads(cluster.run("admin", first_client_command(), without_rights=True))
    with cluster.client("node-1", issued) as first, cluster.client("node-2", issued) as second:
        run = first.post("/v2/query_runs", json={"sql": "SELECT 1 AS a", "content_type": "csv"})
        assert run.status_code == 201, run.text
        done = finished_run(second, run.json()["id"])
        assert done["state"] == "complete", done
        link = done["file"]["url"]
        assert link.startswith("http://localhost:8080/"), "what compose publishes node-1 as"
        assert second.get(link.removeprefix("http://localhost:8080")).text == "a\n1\n"
        assert cluster.stop("node-1") == 0
        again = second.post("/v2/query_runs", json={"sql": "SELECT 2 AS a", "content_type": "csv"})
        assert finished_run(second, again.json()["id"])["state"] == "complete"
        ready = second.get("/readyz")
        assert (ready.status_code, ready.json()["status"]) == (200, "degraded"), (
            "Trino is not there"
        )
    assert cluster.stop("node-2") == 0


# --- Kubernetes -----------------------------------------------------------------------------


def manifests() -> list[dict[str, Any]]:
    """Every object of the base, and the examples."""
    found = []
    for path in sorted(KUBERNETES.rglob("*.yaml")):
        if path.name != "kustomization.yaml":
            found += list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    return found


def deployments() -> list[dict[str, Any]]:
    return [one for one in manifests() if one["kind"] == "Deployment"]


def name_of(manifest: dict[str, Any]) -> str:
    return f"{manifest['kind']} {manifest['metadata']['name']}"


@pytest.mark.parametrize("manifest", manifests(), ids=name_of)
def test_a_manifest_is_valid_by_kubernetes_schema(manifest: dict[str, Any]) -> None:
    kubernetes_validate.validate(manifest, KUBERNETES_VERSION, strict=True)


def test_the_kustomization_names_every_file_of_the_base() -> None:
    base = KUBERNETES / "base"
    kustomization = yaml.safe_load((base / "kustomization.yaml").read_text(encoding="utf-8"))
    files = {path.name for path in base.glob("*.yaml")} - {"kustomization.yaml"}
    assert set(kustomization["resources"]) == files
    assert [
        (base / name).is_file()
        for one in kustomization["configMapGenerator"]
        for name in one["files"]
    ]


def test_kustomize_builds_the_base() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    built = subprocess.run(
        ["kubectl", "kustomize", KUBERNETES / "base"], capture_output=True, text=True, check=True
    )
    objects = list(yaml.safe_load_all(built.stdout))
    for one in objects:
        kubernetes_validate.validate(one, KUBERNETES_VERSION, strict=True)
        assert one["kind"] == "Namespace" or one["metadata"]["namespace"] == "queryrun"
    images = {pod(one)["containers"][0]["image"] for one in objects if one["kind"] == "Deployment"}
    assert images == {"queryrun:0.1.0"}


def test_what_an_autoscaler_scales_has_no_number_of_replicas() -> None:
    """Each `kubectl apply` would set it back."""
    scaled = {
        one["spec"]["scaleTargetRef"]["name"]
        for one in manifests()
        if one["kind"] == "HorizontalPodAutoscaler"
    }
    assert scaled
    fixed = {one["metadata"]["name"] for one in deployments() if "replicas" in one["spec"]}
    assert not scaled & fixed


def test_the_job_for_the_first_client_is_a_command_that_the_program_takes() -> None:
    (job,) = [one for one in manifests() if one["kind"] == "Job"]
    (container,) = pod(job)["containers"]
    assert container["args"] == first_client_command()
    worker = next(one for one in deployments() if one["metadata"]["name"] == "queryrun-worker")
    mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
    assert mounts == {
        one["name"]: one["mountPath"] for one in pod(worker)["containers"][0]["volumeMounts"]
    }


def pod(deployment: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = deployment["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("deployment", deployments(), ids=name_of)
def test_a_pods_grace_period_exceeds_its_nodes_drain_timeout(deployment: dict[str, Any]) -> None:
    (node,) = pod(deployment)["containers"]
    (drain_timeout_s,) = [
        float(one["value"])
        for one in node["env"]
        if one["name"] == "QUERYRUN_SERVER__DRAIN_TIMEOUT_S"
    ]
    before_s = node.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    assert pod(deployment)["terminationGracePeriodSeconds"] > before_s + drain_timeout_s + CLOSE_S


@pytest.mark.parametrize("deployment", deployments(), ids=name_of)
def test_a_pod_can_write_nowhere_but_into_bounded_volumes(deployment: dict[str, Any]) -> None:
    (node,) = pod(deployment)["containers"]
    assert node["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod(deployment)["securityContext"]["runAsNonRoot"]
    volumes = {one["name"]: one for one in pod(deployment)["volumes"]}
    assert {mount["name"] for mount in node["volumeMounts"]} == set(volumes)
    assert all("sizeLimit" in one["emptyDir"] for one in volumes.values() if "emptyDir" in one)


def test_a_worker_pod_has_memory_and_disk_for_all_its_slots(tmp_path: Path) -> None:
    settings = settings_of(KUBERNETES / "base/queryrun.toml", tmp_path)
    (worker,) = [one for one in deployments() if one["metadata"]["name"] == "queryrun-worker"]
    limits = pod(worker)["containers"][0]["resources"]["limits"]
    assert size_bytes(limits["memory"] + "B", "memory") > memory_of_slots(settings)
    (home,) = [one for one in pod(worker)["volumes"] if one["name"] == "home"]
    spilled = size_bytes(settings.sources["live"].spill, "spill") * settings.workers.slots
    assert size_bytes(home["emptyDir"]["sizeLimit"] + "B", "sizeLimit") >= spilled


def test_the_example_secret_holds_what_the_configuration_reads(tmp_path: Path) -> None:
    text = (KUBERNETES / "base/queryrun.toml").read_text(encoding="utf-8")
    read = set(re.findall(r'"/etc/queryrun/secrets/([^"]+)"', text))
    (secret,) = [one for one in manifests() if one["kind"] == "Secret"]
    assert set(secret["stringData"]) == read
    assert settings_of(KUBERNETES / "base/queryrun.toml", tmp_path).is_shared


def test_services_budgets_and_policies_select_pods_that_exist() -> None:
    pods = [one["spec"]["template"]["metadata"]["labels"].items() for one in deployments()]
    for one in manifests():
        spec = one.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector") or {}
        labels = selector.get("matchLabels", selector).items()
        if labels:
            assert any(labels <= pod for pod in pods), name_of(one)


# --- systemd --------------------------------------------------------------------------------


def unit(path: Path) -> configparser.RawConfigParser:
    """A unit file; names that may be repeated keep their last value."""
    parser = configparser.RawConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[method-assign,assignment]  # names keep their case
    parser.read_string(path.read_text(encoding="utf-8"))
    return parser


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_understands_the_unit(path: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    here = tmp_path / path.name
    text = path.read_text(encoding="utf-8")
    here.write_text(text.replace("/opt/queryrun/bin/queryrun", QUERYRUN), encoding="utf-8")
    checked = subprocess.run(
        ["systemd-analyze", "verify", here], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_signals_the_node_alone_and_waits_for_its_drain(path: Path) -> None:
    service = unit(path)["Service"]
    assert service["KillMode"] == "mixed", "workers are the node's to end"
    assert float(service["TimeoutStopSec"]) > Settings().server.drain_timeout_s + CLOSE_S
    assert service["OOMPolicy"] == "continue", "a worker that is killed must not end the node"


def test_the_template_is_the_unit_with_a_home_per_instance() -> None:
    one, template = (
        unit(DEPLOY / "systemd" / name)["Service"]
        for name in ("queryrun.service", "queryrun@.service")
    )
    different = {name for name in template if template[name] != one.get(name)}
    assert different == {
        "StateDirectory",
        "ExecStart",
        "LoadCredential",
        "Environment",
        "EnvironmentFile",
    }


def test_the_command_of_the_unit_is_one_that_the_program_takes() -> None:
    words = unit(DEPLOY / "systemd/queryrun.service")["Service"]["ExecStart"].split()
    assert words[:2] == ["/opt/queryrun/bin/queryrun", "serve"]
    help_page = subprocess.run(
        [QUERYRUN, "serve", "--help"], capture_output=True, text=True, check=True
    )
    assert all(word in help_page.stdout for word in words if word.startswith("--"))


# --- the image ------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions, continued lines joined."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines)]


def test_the_image_runs_as_a_user_without_rights_and_serves() -> None:
    last = dict(instructions())
    assert last["USER"] == "10001:10001"
    assert entrypoint() == ["queryrun"]
    assert json.loads(last["CMD"])[0] == "serve"


def test_everything_that_is_copied_into_the_image_exists_and_is_let_through() -> None:
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").split()
    assert ignored[0] == "*", "what is not named stays out: no secret, no home, no .git"
    for word, rest in instructions():
        if word == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert (ROOT / source).exists(), source
                parents = [source, *map(str, Path(source).parents)]
                assert any(f"!{one}" in ignored for one in parents), source


def test_hadolint_finds_nothing_in_the_image_but_the_layers_that_are_meant() -> None:
    """DL3059: stages that are thrown away keep a layer per step, for the cache."""
    hadolint = Path(sys.executable).with_name("hadolint")
    if not hadolint.exists():
        pytest.skip("hadolint is not installed: it comes with requirements.lock")
    command = [str(hadolint), "--ignore", "DL3059", str(DEPLOY / "Dockerfile")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout) == (0, "")


def test_the_image_takes_nothing_from_an_archive_that_changes() -> None:
    commands = " ".join(rest for word, rest in instructions() if word == "RUN")
    assert not re.search(r"apt-get|apk |curl |wget |git clone", commands)


def test_every_package_of_the_image_is_locked_as_for_the_tests() -> None:
    """On failure: `make lock`."""
    tested, shipped = (packages(ROOT / "requirements.lock"), packages(DEPLOY / "requirements.lock"))
    assert all(hashes for hashes in shipped.values())
    assert {name: tested.get(name) for name in shipped} == shipped
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    required = [*project["dependencies"], *extras["postgres"], *extras["trino"], *extras["spark"]]
    ours = {path.parent.name for path in (ROOT / "packages").glob("*/pyproject.toml")}
    names = {name.partition("==")[0] for name in shipped} | {f"queryrun-{name}" for name in ours}
    assert {re.split(r"[\[>=<]", one)[0].lower() for one in required} <= names
    installs = [rest for word, rest in instructions() if word == "RUN" and ".lock" in rest]
    assert len(installs) == 2
    assert all("--require-hashes" in rest for rest in installs)


def packages(lock: Path) -> dict[str, frozenset[str]]:
    """`name==version` -> the hashes that are accepted."""
    found: dict[str, frozenset[str]] = {}
    for entry in re.split(r"\n(?=\S)", lock.read_text(encoding="utf-8")):
        name = re.match(r"[\w.-]+==[\w.]+", entry)
        assert name is not None, entry
        hashes = frozenset(re.findall(r"--hash=sha256:\w{64}", entry))
        found[name[0]] = found.get(name[0], frozenset()) | hashes
    return found


# --- what several of them need --------------------------------------------------------------


def settings_of(config: Path, tmp_path: Path) -> Settings:
    """As a node with this queryrun.toml would have them."""
    shutil.copyfile(config, tmp_path / "queryrun.toml")
    return load(tmp_path, {})


def memory_of_slots(settings: Settings) -> int:
    max_bytes = max(
        size_bytes(source.memory, "memory")
        for source in settings.sources.values()
        if source.engine == "duckdb"
    )
    return max_bytes * settings.workers.slots


def finished_run(http: Any, run_id: str) -> dict[str, Any]:
    """The run in a final state; the node does the waiting."""
    for _ in range(10):
        run: dict[str, Any] = http.get(
            f"/v2/query_runs/{run_id}", headers={"prefer": "wait=10"}
        ).json()
        if run["state"] in {"complete", "failed", "canceled"}:
            return run
    raise AssertionError(f"run {run_id} did not finish: {run}")
