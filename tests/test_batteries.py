"""What is shipped beside the code to run it: the serving distribution, the images, Compose and Kubernetes."""

import re
import subprocess
import tomllib

import pytest
import yaml

from flows.faults import as_fault
from schemas.errors import SettingsError
from tests.conftest import CHECKOUT

COMPOSE = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text("utf-8"))
KUBERNETES = list(yaml.safe_load_all((CHECKOUT / "docs" / "kubernetes.yaml").read_text("utf-8")))
DOCKERFILE = (CHECKOUT / "Dockerfile").read_text("utf-8")


def project(folder):
    return tomllib.loads((CHECKOUT / folder / "pyproject.toml").read_text("utf-8"))["project"]


def test_the_serving_distribution_asks_for_what_the_pipeline_asks_for_and_less():
    """Same version, same bounds; nothing that trains."""
    whole, serving = project("."), project("serving")
    assert set(serving["dependencies"]) < set(whole["dependencies"])
    assert not {"torch", "prefect", "pandas"} & {re.split(r"\W", one)[0] for one in serving["dependencies"]}
    extras = whole["optional-dependencies"]
    with_transformers = {"tokenizers>=0.22"}  # they bring it
    for name, asked in serving["optional-dependencies"].items():
        assert set(asked) - with_transformers <= set(extras[name])
    packages = [
        tomllib.loads((CHECKOUT / folder / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]["packages"][
            "find"
        ]
        for folder in (".", "serving")
    ]
    assert packages[0]["include"] == packages[1]["include"]
    assert [serving[key] for key in ("version", "requires-python", "scripts")] == [
        whole[key] for key in ("version", "requires-python", "scripts")
    ]


@pytest.mark.parametrize("name", ["prefect", "torch.nn", "great_expectations"])
def test_what_is_missing_where_nothing_trains_is_one_message(name):
    """A module of ours that is missing stays a fault of ours."""
    fault = as_fault(ModuleNotFoundError(name=name))
    assert isinstance(fault, SettingsError)
    assert f"{name} is not installed here" in str(fault)
    assert as_fault(ModuleNotFoundError(name="tasks.nothing")) is None


def test_no_image_is_run_by_root():
    """Every final stage comes from the one that has changed its user."""
    final = re.findall(r"^FROM (\S+) AS (service|worker)$", DOCKERFILE, re.M)
    assert final == [("runtime", "service"), ("runtime", "worker")]
    runtime, service, worker = DOCKERFILE.split(" AS runtime")[1].split("FROM runtime AS ")
    assert "USER 10001" in runtime
    assert "USER" not in service + worker


def test_compose_runs_stages_of_the_dockerfile_in_order():
    """The database, the server, the deployments, a worker; and the service, which needs none of them."""
    services = COMPOSE["services"]
    assert set(services) == {"postgres", "server", "deploy", "worker", "service"}
    built = {one["build"]["target"] for one in services.values() if "build" in one}
    assert all(re.search(rf"^FROM \S+ AS {target}$", DOCKERFILE, re.M) for target in built)
    assert {name: list(one.get("depends_on", {})) for name, one in services.items()} == {
        "postgres": [],
        "server": ["postgres"],
        "deploy": ["server"],
        "worker": ["deploy"],
        "service": [],
    }
    assert all(port.startswith("127.0.0.1:") for one in services.values() for port in one.get("ports", []))


def test_probes_ask_addresses_that_the_service_has():
    """/healthz for life, /readyz for traffic; nothing is run by root."""
    deployments = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in KUBERNETES if one["kind"] == "Deployment"
    }
    (service,) = deployments["dssm-service"]["containers"]
    asked = {kind: service[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "liveness", "readiness")}
    assert asked == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}
    routes = (CHECKOUT / "flows" / "api" / "openapi.py").read_text("utf-8")
    assert all(f'"{path}"' in routes for path in asked.values())
    assert all(pod["securityContext"]["runAsNonRoot"] for pod in deployments.values())


def test_a_server_that_starts_again_knows_who_held_a_place():
    """What Prefect keeps in files beside its database lies on a volume, in both arrangements."""
    (folder,) = re.findall(r"PREFECT_HOME=(\S+)", DOCKERFILE)
    assert re.search(rf"install -d -o dssm -g dssm .*{folder}\b", DOCKERFILE)
    assert f"prefect:{folder}" in COMPOSE["services"]["server"]["volumes"]
    (pod,) = [
        one["spec"]["template"]["spec"]
        for one in KUBERNETES
        if one["kind"] == "Deployment" and one["metadata"]["name"] == "prefect-server"
    ]
    assert {"name": "prefect", "mountPath": folder} in pod["containers"][0]["volumeMounts"]
    assert any(one["name"] == "prefect" and "persistentVolumeClaim" in one for one in pod["volumes"])


def test_both_images_take_the_same_extras():
    """The build argument reaches what pip is asked for; without it nothing is added."""
    asked = re.findall(r"^RUN (pip install --constraint .*)$", DOCKERFILE, re.M)
    assert len(asked) == 2
    for step in asked:
        for extras, expected in ({"EXTRAS": "encoder,s3"}, "[encoder,s3]"), ({}, ""):
            told = subprocess.run(["sh", "-c", f"echo {step}"], env=extras, capture_output=True, text=True, check=True)
            assert told.stdout.rstrip().endswith(("./serving" if "serving" in step else ".") + expected)
    known = [set(project(folder)["optional-dependencies"]) for folder in (".", "serving")]
    assert {"encoder", "s3"} <= known[0] & known[1]
