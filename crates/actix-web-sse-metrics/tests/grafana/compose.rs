//! What `docker compose` would be given, for where there is no Docker to give it to.

use std::{collections::BTreeMap, fs};

use serde_json::Value;

use crate::grafana;

fn yaml(file: &str) -> Value {
    let text = fs::read_to_string(grafana().join(file)).unwrap();
    serde_yaml_ng::from_str(&text).unwrap()
}

fn services() -> BTreeMap<String, Value> {
    let compose = yaml("compose.yaml");
    let services = compose["services"].as_object().unwrap().iter();
    services
        .map(|(name, service)| (name.clone(), service.clone()))
        .collect()
}

fn texts(value: &Value) -> Vec<&str> {
    let entries = value.as_array().into_iter().flatten();
    entries.map(|entry| entry.as_str().unwrap()).collect()
}

/// What of `service` is mounted at this path.
fn mounted<'a>(service: &'a Value, path: &str) -> Option<&'a str> {
    texts(&service["volumes"]).into_iter().find_map(|volume| {
        let (source, target) = volume.split_once(':')?;
        (target.strip_suffix(":ro") == Some(path)).then_some(source)
    })
}

#[test]
fn every_image_has_a_version_and_every_mount_exists_and_is_read_only() {
    for (name, service) in services() {
        let image = service["image"].as_str().unwrap();
        let (_, version) = image.rsplit_once(':').unwrap();
        assert!(version.contains(char::is_numeric), "{name}: {image}");
        for volume in texts(&service["volumes"]) {
            let (source, target) = volume.split_once(':').unwrap();
            assert!(grafana().join(source).exists(), "{name}: {volume}");
            assert!(target.ends_with(":ro"), "{name}: {volume}");
        }
    }
}

#[test]
fn nothing_listens_beyond_loopback() {
    for (name, service) in services() {
        assert!(
            service["ports"].is_null(),
            "{name} shares the host's network"
        );
        let arguments = texts(&service["command"]).join(" ");
        let grafana = service["environment"]["GF_SERVER_HTTP_ADDR"].as_str();
        let listens_on_loopback =
            arguments.contains("--web.listen-address=127.0.0.1:") || grafana == Some("127.0.0.1");
        assert!(listens_on_loopback, "{name}: {arguments}");
    }
    let cluster = "--cluster.listen-address=";
    let alertmanager = &services()["alertmanager"];
    assert!(texts(&alertmanager["command"]).contains(&cluster));
}

#[test]
fn each_finds_the_others_and_its_files_where_they_are_mounted() {
    let services = services();
    let [prometheus, alertmanager, grafana] =
        ["prometheus", "alertmanager", "grafana"].map(|name| &services[name]);
    for (service, folder, file) in [
        (prometheus, "/etc/prometheus", "prometheus.yml"),
        (alertmanager, "/etc/alertmanager", "alertmanager.yml"),
    ] {
        let path = format!("{folder}/{file}");
        let config = format!("--config.file={path}");
        assert!(texts(&service["command"]).contains(&config.as_str()));
        assert_eq!(mounted(service, &path), Some(format!("./{file}").as_str()));
    }
    assert_eq!(
        mounted(prometheus, "/etc/prometheus/rules"),
        Some("./rules")
    );
    let config = yaml("prometheus.yml");
    for rules in texts(&config["rule_files"]) {
        assert!(crate::grafana().join(rules).exists(), "{rules}");
    }
    let told = &config["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"];
    assert_eq!(texts(told), ["localhost:9093"]);

    let provider = &yaml("provisioning/dashboards/event-streams.yml")["providers"][0];
    let path = provider["options"]["path"].as_str().unwrap();
    assert_eq!(mounted(grafana, path), Some("./dashboards"));
    let from = mounted(grafana, "/etc/grafana/provisioning");
    assert_eq!(from, Some("./provisioning"));
    let source = &yaml("provisioning/datasources/prometheus.yml")["datasources"][0];
    assert_eq!(source["url"], "${PROMETHEUS_URL}");
    let url = &grafana["environment"]["PROMETHEUS_URL"];
    assert_eq!(url, "http://localhost:9090");
    assert_eq!(
        source["jsonData"]["timeInterval"],
        config["global"]["scrape_interval"]
    );
}
