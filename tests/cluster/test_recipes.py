"""Each file in cluster/ is what its reader expects, and says what it is for."""

import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.cluster.kuberay import operator_faults, pod_templates

ROOT = Path(__file__).parent.parent.parent
RECIPES = ROOT / "cluster"
PAGES = [
    ROOT / "docs" / f"{name}.md" for name in ("clusters", "object-storage", "reliability", "scale")
]
SCHEMAS = ROOT.parent / "shared" / "schemas"
RAY_UP = ("aws", "gcp", "local")
KUBERAY = ("kuberay-rayjob", "kuberay-raycluster", "kuberay-rayjob-kueue")
SCRIPTS = sorted(RECIPES.glob("*.sbatch"))


def read(name: str) -> Any:
    return YAML(typ="safe", pure=True).load((RECIPES / name).read_text(encoding="utf-8"))


def shellcheck(script: str) -> str:
    """What shellcheck has to say of a script; nothing where all is well."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    program = shutil.which("shellcheck", path=path)
    assert program is not None, "the extra dev brings it"
    words = [program, "--shell=bash", "-"]
    return subprocess.run(words, input=script, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("name", RAY_UP)
def test_ray_up_takes_a_cluster(name: str) -> None:
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = prepare_config(read(f"{name}.yaml"))
    validate_config(config)
    types = config["available_node_types"]
    assert config["head_node_type"] in types
    assert sum(one.get("min_workers", 0) for one in types.values()) <= config["max_workers"]


@pytest.mark.parametrize("name", RAY_UP)
def test_nobody_without_the_token_is_heard_and_the_job_server_is_local(name: str) -> None:
    config = read(f"{name}.yaml")
    assert "~/.ray/auth_token" in config["file_mounts"]
    both = ("head_start_ray_commands", "worker_start_ray_commands")
    starts = [words for key in both for words in config[key] if "ray start" in words]
    assert len(starts) == 2
    for words in starts:
        assert "RAY_AUTH_MODE=token ray start" in words
    assert "--dashboard-host=127.0.0.1" in starts[0]


def test_what_drives_is_never_spot_and_workers_are() -> None:
    aws, gcp = (read(f"{name}.yaml")["available_node_types"] for name in ("aws", "gcp"))
    assert aws["worker"]["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"}
    assert {"provisioningModel": "SPOT"} in gcp["worker"]["node_config"]["scheduling"]
    assert "InstanceMarketOptions" not in aws["head"]["node_config"]
    assert "scheduling" not in gcp["head"]["node_config"]
    assert aws["head"]["resources"] == gcp["head"]["resources"] == {"CPU": 0}


@pytest.mark.parametrize("name", KUBERAY)
def test_kuberay_s_schema_takes_a_manifest(name: str) -> None:
    import jsonschema

    manifest = read(f"{name}.yaml")
    path = SCHEMAS / f"kuberay-{manifest['kind'].lower()}-v1.json"
    if not path.exists():
        warnings.warn(f"warning: {path.name} is not there; its check is left out", stacklevel=1)
        pytest.skip(f"no {path.name}")
    schema = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(manifest)
    manifest["spec"]["noSuchKey"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(manifest)


@pytest.mark.parametrize("name", KUBERAY)
def test_kuberay_s_operator_takes_a_manifest(name: str) -> None:
    assert operator_faults(read(f"{name}.yaml")) == []


def _cluster(manifest: Any) -> Any:
    return manifest["spec"]["rayClusterSpec"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda m: m["metadata"].update(name="a" * 48), "name is longer than 47"),
        (
            lambda m: m["spec"].update(shutdownAfterJobFinishes=False),
            "ttlSecondsAfterFinished needs shutdownAfterJobFinishes",
        ),
        (
            lambda m: m["spec"].update(clusterSelector={"a": "b"}),
            "backoffLimit excludes clusterSelector",
        ),
        (
            lambda m: m["spec"].update(deletionStrategy={"deletionRules": [{}]}),
            "deletionRules exclude shutdownAfterJobFinishes and ttlSecondsAfterFinished",
        ),
        (
            lambda m: m["spec"].update(submissionMode="SidecarMode", submitterConfig={}),
            "SidecarMode excludes submitterConfig",
        ),
        (
            lambda m: _cluster(m)["headGroupSpec"]["template"]["spec"].update(
                restartPolicy="Always"
            ),
            "autoscaler v2 needs restartPolicy Never",
        ),
        (lambda m: _cluster(m).update(rayVersion="2.51.1"), "token needs rayVersion 2.52"),
        (
            lambda m: _cluster(m)["headGroupSpec"].update(
                labels={}, rayStartParams={"labels": "a=b"}
            ),
            "labels stand in rayStartParams, too",
        ),
    ],
)
def test_the_operator_s_rules_are_known(change: Any, fault: str) -> None:
    manifest = deepcopy(read("kuberay-rayjob.yaml"))
    change(manifest)
    assert fault in operator_faults(manifest)


def test_a_suspended_job_without_an_end_is_refused() -> None:
    manifest = read("kuberay-rayjob-kueue.yaml")
    assert manifest["spec"]["suspend"]
    assert "kueue.x-k8s.io/queue-name" in manifest["metadata"]["labels"]
    assert "enableInTreeAutoscaling" not in _cluster(manifest), "Kueue counts whole clusters"
    manifest["spec"]["shutdownAfterJobFinishes"] = False
    assert "suspend needs shutdownAfterJobFinishes" in operator_faults(manifest)


@pytest.mark.parametrize("name", KUBERAY)
def test_kubernetes_takes_the_pods(name: str) -> None:
    import kubernetes_validate

    manifest = read(f"{name}.yaml")
    version = kubernetes_validate.latest_version()
    for template in pod_templates(manifest):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, **template}
        kubernetes_validate.validate(pod, version, strict=True)
        pod["spec"]["containers"][0]["volumeMount"] = []
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(pod, version, strict=True)


@pytest.mark.parametrize("name", KUBERAY)
def test_pods_ask_for_the_token_and_have_the_data(name: str) -> None:
    manifest = read(f"{name}.yaml")
    spec = manifest["spec"].get("rayClusterSpec", manifest["spec"])
    assert spec["authOptions"] == {"mode": "token"}
    for template in pod_templates(manifest):
        (container,) = template["spec"]["containers"]
        places = {mount["mountPath"] for mount in container["volumeMounts"]}
        assert places >= {"/data", "/dev/shm"}
        assert container["resources"]["requests"] == container["resources"]["limits"]


def test_skypilot_s_file_has_only_what_skypilot_knows() -> None:
    task = read("skypilot.yaml")
    known = {"name", "num_nodes", "workdir", "resources", "envs", "secrets", "setup", "run"}
    assert set(task) <= known
    assert task["resources"]["use_spot"]
    assert task["envs"]["RAY_AUTH_MODE"] == "token"
    assert task["secrets"] == {"RAY_AUTH_TOKEN": None}
    for key in ("setup", "run"):
        # SkyPilot sets the variables of envs itself.
        names = "SPACE RUN SKYPILOT_NODE_IPS SKYPILOT_NODE_RANK SKYPILOT_NUM_GPUS_PER_NODE"
        set_before = "".join(f"{name}=${{{name}-}}\n" for name in names.split())
        activate = "# shellcheck source=/dev/null\n. ~"
        text = task[key].replace(". ~", activate)
        assert shellcheck(f"#!/bin/bash\nexport {names}\n{set_before}{text}") == ""
    assert "ray stop" not in task["run"], "SkyPilot has a Ray of its own"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_shell_scripts_are_sound(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert shellcheck(text) == ""
    assert "SC2086" in shellcheck(text + "\necho $UNQUOTED\n")
    assert os.access(script, os.X_OK)


def test_the_image_is_built_of_what_is_there() -> None:
    from dockerfile_parse import DockerfileParser

    parser = DockerfileParser(path=str(RECIPES / "Dockerfile"))
    steps = [(one["instruction"], one["value"]) for one in parser.structure]
    assert ("ARG", "CUDA=cpu") in steps
    assert any("${CUDA}" in value for instruction, value in steps if instruction == "RUN")
    assert [value for instruction, value in steps if instruction == "USER"] == ["ray"]
    sources = [
        source
        for instruction, value in steps
        if instruction == "COPY"
        for source in value.split()[:-1]
    ]
    assert sources
    let_in = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in let_in
    for source in sources:
        assert (ROOT / source).exists()
        assert f"!{source}" in let_in
    assert {line[1:] for line in let_in if line.startswith("!")} == set(sources)


def test_the_image_has_the_ray_that_manifests_name_and_tests_use() -> None:
    import ray

    text = (RECIPES / "Dockerfile").read_text(encoding="utf-8")
    (version,) = re.findall(r"^ARG RAY=(\S+)$", text, re.MULTILINE)
    assert version == ray.__version__
    for name in KUBERAY:
        manifest = read(f"{name}.yaml")
        assert manifest["spec"].get("rayClusterSpec", manifest["spec"])["rayVersion"] == version


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(RECIPES.iterdir()) if path.name not in ("README.md", "__pycache__")],
    ids=lambda path: path.name,
)
def test_each_file_says_the_command_that_uses_it_and_the_readme_knows_it(path: Path) -> None:
    assert f"cluster/{path.name}" in path.read_text(encoding="utf-8")
    assert path.name in (RECIPES / "README.md").read_text(encoding="utf-8")


def test_commands_in_recipes_have_only_options_that_are_there() -> None:
    import typer.main

    from alsweep.cli.main import app

    verbs = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    call = re.compile(rf"alsweep ({'|'.join(map(re.escape, verbs))})\b([^\n|&;#`]*)")
    seen = set()
    for path in (*RECIPES.iterdir(), *PAGES):
        if path.is_file():
            for verb, rest in call.findall(path.read_text(encoding="utf-8")):
                known = {option for one in verbs[verb].params for option in one.opts}
                used = set(re.findall(r"(?<![\w-])--[a-z-]+", rest))
                assert used <= known, f"{path.name}: alsweep {verb}{rest}"
                seen.add(verb)
    assert seen >= {"run", "submit", "worker", "status", "report", "resume"}


@pytest.mark.parametrize("page", [RECIPES / "README.md", *PAGES], ids=lambda page: page.name)
def test_what_a_page_names_is_there(page: Path) -> None:
    from ray.scripts.scripts import cli

    text = page.read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    paths = [page.parent / link for link in links]
    paths += [ROOT / name for name in re.findall(r"`(tests/[\w/.]+)`", text)]
    modules = re.findall(r"python -m (tests[\w.]+)", text)
    paths += [ROOT / f"{name.replace('.', '/')}.py" for name in modules]
    assert not [path for path in paths if not path.exists()]
    called = re.findall(r"(?:^ {4}|`|&& )ray ([a-z-]+)", text, re.MULTILINE)
    assert set(called) <= set(cli.commands)
