//! Manifests for the Prometheus operator, for Grafana's sidecar, and an example of a deployment.

use serde_json::{Value, json};
use url::Url;

use crate::{boards, rules, settings::Settings};

/// Name below `grafana/` and content.
pub fn manifests(settings: &Settings) -> Vec<(&'static str, String)> {
    let kubernetes = &settings.kubernetes;
    let metadata = |name: &str| json!({"name": name, "namespace": kubernetes.namespace, "labels": kubernetes.labels});
    let file = |comment: &str, documents: &[Value]| {
        let documents: Vec<_> = documents
            .iter()
            .map(|document| serde_yaml_ng::to_string(document).unwrap_or_default())
            .collect();
        format!(
            "# {comment}\n{}{}",
            crate::GENERATED,
            documents.join("---\n")
        )
    };
    vec![
        (
            "kubernetes/servicemonitor.yml",
            file(
                "Has the Prometheus operator scrape the application's metrics.",
                &[json!({
                    "apiVersion": "monitoring.coreos.com/v1",
                    "kind": "ServiceMonitor",
                    "metadata": metadata("event-streams"),
                    "spec": {
                        "selector": {"matchLabels": {"app.kubernetes.io/name": "event-streams"}},
                        "endpoints": [{"port": "metrics", "path": "/metrics", "interval": "15s"}],
                    },
                })],
            ),
        ),
        (
            "kubernetes/probe.yml",
            file(
                "Has the Prometheus operator ask sse-probe for each public URL. A probe holds a stream for seconds.",
                &[probe(settings, &metadata("event-streams-probe"))],
            ),
        ),
        (
            "kubernetes/prometheusrule.yml",
            file(
                "The rules of ../rules, for the Prometheus operator.",
                &[json!({
                    "apiVersion": "monitoring.coreos.com/v1",
                    "kind": "PrometheusRule",
                    "metadata": metadata("event-streams"),
                    "spec": spec(settings),
                })],
            ),
        ),
        (
            "kubernetes/sse-probe.yml",
            file(
                "The probe itself.",
                &sse_probe(settings, &metadata("sse-probe")),
            ),
        ),
        (
            "kubernetes/demo.yml",
            file(
                "A deployment of an application with event streams: the demo. The time to end is that of the drain and of what comes before.",
                &demo(settings, &metadata("event-streams")),
            ),
        ),
        ("kustomization.yaml", kustomization(settings)),
    ]
}

fn spec(settings: &Settings) -> Value {
    let groups: Vec<_> = rules::files()
        .into_iter()
        .flat_map(|file| file.groups)
        .collect();
    let yaml = rules::groups_yaml(&groups, settings);
    serde_yaml_ng::from_str(&yaml).unwrap_or_default()
}

fn probe(settings: &Settings, metadata: &Value) -> Value {
    let kubernetes = &settings.kubernetes;
    json!({
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "Probe",
        "metadata": metadata,
        "spec": {
            "interval": "1m",
            "scrapeTimeout": "30s",
            "module": kubernetes.probe_module,
            "prober": {
                "url": format!("sse-probe.{}.svc:9465", kubernetes.namespace),
                "path": "/probe",
            },
            "targets": {"staticConfig": {"static": kubernetes.probe_targets}},
        },
    })
}

/// Runs as nobody, writes nothing.
fn security() -> Value {
    json!({
        "allowPrivilegeEscalation": false,
        "readOnlyRootFilesystem": true,
        "runAsNonRoot": true,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    })
}

/// Scheme, host and port of a URL; what is none stays as it is.
fn origin_of(url: &str) -> String {
    let parsed = Url::parse(url).map(|url| url.origin().ascii_serialization());
    parsed.unwrap_or_else(|_| url.to_owned())
}

fn sse_probe(settings: &Settings, metadata: &Value) -> [Value; 3] {
    let labels = json!({"app.kubernetes.io/name": "sse-probe"});
    let kubernetes = &settings.kubernetes;
    // Whoever reaches the probe in the cluster has it ask nothing else.
    let targets = kubernetes.probe_targets.iter();
    let mut origins: Vec<_> = targets.map(|url| origin_of(url)).collect();
    origins.sort_unstable();
    origins.dedup();
    let config = format!(
        "listen = \"0.0.0.0:9465\"\n\n[modules.{}]\norigin = {:?}\ncredentials = true\ntarget_origins = {origins:?}\n",
        kubernetes.probe_module, kubernetes.probe_origin
    );
    [
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"probe.toml": config},
        }),
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "containers": [{
                            "name": "sse-probe",
                            "image": kubernetes.probe_image,
                            "args": ["watch", "--config", "/etc/sse-probe/probe.toml"],
                            "ports": [{"name": "http", "containerPort": 9465}],
                            "readinessProbe": {"httpGet": {"path": "/-/healthy", "port": "http"}},
                            "livenessProbe": {"httpGet": {"path": "/-/healthy", "port": "http"}},
                            "resources": {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"memory": "128Mi"}},
                            "securityContext": security(),
                            "volumeMounts": [{"name": "config", "mountPath": "/etc/sse-probe", "readOnly": true}],
                        }],
                        "volumes": [{"name": "config", "configMap": {"name": "sse-probe"}}],
                    },
                },
            },
        }),
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": metadata,
            "spec": {"selector": labels, "ports": [{"name": "http", "port": 9465, "targetPort": "http"}]},
        }),
    ]
}

fn demo(settings: &Settings, metadata: &Value) -> [Value; 4] {
    let kubernetes = &settings.kubernetes;
    let labels = json!({"app.kubernetes.io/name": "event-streams"});
    let mut service = metadata.clone();
    service["labels"]["app.kubernetes.io/name"] = json!("event-streams");
    // Until the load balancers have heard of the end; then the drain; then a little.
    let grace = kubernetes.pre_stop_seconds + kubernetes.drain_seconds + 5;
    let config = "[server]\nlisten = \"0.0.0.0:8080\"\n\n[metrics]\nlisten = \"0.0.0.0:9464\"\n";
    let probe = |path: &str| json!({"httpGet": {"path": path, "port": "http"}, "periodSeconds": 5});
    [
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": metadata,
            "data": {"demo.toml": config},
        }),
        json!({
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {
                "replicas": kubernetes.replicas,
                "selector": {"matchLabels": labels},
                // One after the other: all clients of a pod come back to the others.
                "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "terminationGracePeriodSeconds": grace,
                        "containers": [{
                            "name": "demo",
                            "image": kubernetes.image,
                            "args": ["--config", "/etc/demo/demo.toml"],
                            "ports": [
                                {"name": "http", "containerPort": 8080},
                                {"name": "metrics", "containerPort": 9464},
                            ],
                            "readinessProbe": probe("/readyz"),
                            "livenessProbe": probe("/healthz"),
                            "lifecycle": {"preStop": {"sleep": {"seconds": kubernetes.pre_stop_seconds}}},
                            "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
                            "securityContext": security(),
                            "volumeMounts": [{"name": "config", "mountPath": "/etc/demo", "readOnly": true}],
                        }],
                        "volumes": [{"name": "config", "configMap": {"name": "event-streams"}}],
                    },
                },
            },
        }),
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": service,
            "spec": {
                "selector": labels,
                "ports": [
                    {"name": "http", "port": 80, "targetPort": "http"},
                    {"name": "metrics", "port": 9464, "targetPort": "metrics"},
                ],
            },
        }),
        json!({
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata,
            "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}},
        }),
    ]
}

fn kustomization(settings: &Settings) -> String {
    let kubernetes = &settings.kubernetes;
    let maps: Vec<_> = boards::all()
        .iter()
        .map(|(name, _)| {
            json!({
                "name": format!("event-streams-dashboard-{name}"),
                "namespace": kubernetes.namespace,
                "files": [format!("dashboards/{name}.json")],
                "options": {
                    "labels": kubernetes.dashboard_label,
                    "annotations": {"grafana_folder": kubernetes.dashboard_folder},
                    "disableNameSuffixHash": true,
                },
            })
        })
        .collect();
    let kustomization = json!({
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [
            "kubernetes/servicemonitor.yml",
            "kubernetes/probe.yml",
            "kubernetes/prometheusrule.yml",
            "kubernetes/sse-probe.yml",
        ],
        "configMapGenerator": maps,
    });
    format!(
        "# kubectl apply -k grafana: what the Prometheus operator and Grafana's sidecar look for. The dashboards become\n\
         # ConfigMaps. kubernetes/demo.yml is an example of an application and is applied by itself.\n{}{}",
        crate::GENERATED,
        serde_yaml_ng::to_string(&kustomization).unwrap_or_default()
    )
}
