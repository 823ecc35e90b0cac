// Made by a program; see README.md. The recording rules stand beside the alerts that use them.
{
  prometheusAlerts+:: {
    groups+: std.parseYaml(importstr 'rules/alerts.yml').groups + std.parseYaml(importstr 'rules/probe.yml').groups,
  },
  grafanaDashboards+:: {
    'sse-overview.json': import 'dashboards/overview.json',
    'sse-cors.json': import 'dashboards/cors.json',
    'sse-auth.json': import 'dashboards/auth.json',
    'sse-delivery.json': import 'dashboards/delivery.json',
    'sse-connections.json': import 'dashboards/connections.json',
    'sse-probe.json': import 'dashboards/probe.json',
    'sse-runbook.json': import 'dashboards/runbook.json',
  },
}
