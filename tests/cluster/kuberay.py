"""What KubeRay's operator refuses though the schema lets it pass (its utils/validation.go)."""

from collections.abc import Iterator, Mapping
from typing import Any

Manifest = Mapping[str, Any]


def operator_faults(manifest: Manifest) -> list[str]:
    """Why the operator (1.7) would refuse a RayJob or RayCluster."""
    name, spec = manifest["metadata"]["name"], manifest["spec"]
    if manifest["kind"] == "RayJob":
        most, cluster = 47, spec.get("rayClusterSpec")
        faults = [*_faults_of_job(spec)]
    else:
        most, cluster = 53, spec
        faults = []
    if len(name) > most:
        faults.append(f"name is longer than {most}")
    return faults + ([] if cluster is None else [*_faults_of_cluster(cluster)])


def _faults_of_job(spec: Manifest) -> Iterator[str]:
    ends = spec.get("shutdownAfterJobFinishes", False)
    if spec.get("suspend") and not ends:
        yield "suspend needs shutdownAfterJobFinishes"
    if spec.get("ttlSecondsAfterFinished", 0) > 0 and not ends:
        yield "ttlSecondsAfterFinished needs shutdownAfterJobFinishes"
    if spec.get("deletionStrategy", {}).get("deletionRules") and (
        ends or spec.get("ttlSecondsAfterFinished")
    ):
        yield "deletionRules exclude shutdownAfterJobFinishes and ttlSecondsAfterFinished"
    if "backoffLimit" in spec and "clusterSelector" in spec:
        yield "backoffLimit excludes clusterSelector"
    if spec.get("submissionMode") == "SidecarMode":
        for key in ("clusterSelector", "submitterPodTemplate", "submitterConfig"):
            if key in spec:
                yield f"SidecarMode excludes {key}"


def _faults_of_cluster(spec: Manifest) -> Iterator[str]:
    groups = [spec["headGroupSpec"], *spec.get("workerGroupSpecs", ())]
    if spec.get("autoscalerOptions", {}).get("version") == "v2":
        for group in groups:
            if group["template"]["spec"].get("restartPolicy", "Never") != "Never":
                yield "autoscaler v2 needs restartPolicy Never"
            variables = [
                one["name"]
                for container in group["template"]["spec"]["containers"]
                for one in container.get("env", ())
            ]
            if "RAY_enable_autoscaler_v2" in variables:
                yield "the autoscaler's version is set twice"
    for group in groups:
        for key in ("resources", "labels"):
            if key in group and key in group.get("rayStartParams", {}):
                yield f"{key} stand in rayStartParams, too"
    if spec.get("authOptions", {}).get("mode") == "token":
        version = tuple(int(part) for part in spec.get("rayVersion", "0").split(".")[:2])
        if version < (2, 52):
            yield "token needs rayVersion 2.52"


def pod_templates(manifest: Manifest) -> Iterator[Manifest]:
    """The pod templates of a RayJob or RayCluster, head first."""
    spec = manifest["spec"].get("rayClusterSpec", manifest["spec"])
    yield spec["headGroupSpec"]["template"]
    for group in spec.get("workerGroupSpecs", ()):
        yield group["template"]
