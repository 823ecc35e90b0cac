// Holds the manifests below grafana/ against the schemas of Kubernetes and of the Prometheus operator.
//
//   npm ci --prefix tests/kubernetes && node tests/kubernetes/validate.mjs
import { readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseAllDocuments } from 'yaml';

const grafana = fileURLToPath(new URL('../../grafana/', import.meta.url));

/** The class of a resource, which knows its schema. */
async function model({ apiVersion, kind }) {
  const home = apiVersion.startsWith('monitoring.coreos.com/')
    ? '@kubernetes-models/prometheus-operator'
    : 'kubernetes-models';
  const models = await import(`${home}/${apiVersion}`);
  if (!models[kind]) throw new Error(`${home} has no schema of ${apiVersion} ${kind}`);
  return models[kind];
}

/** What is wrong with a resource. */
async function faults(resource) {
  const Model = await model(resource);
  try {
    new Model(resource).validate();
    return [];
  } catch (fault) {
    return [fault.message];
  }
}

// A schema that finds nothing wrong with this would find nothing wrong with anything.
const wrong = [
  { apiVersion: 'monitoring.coreos.com/v1', kind: 'PrometheusRule', metadata: {}, spec: { groups: [{ rules: 7 }] } },
  { apiVersion: 'monitoring.coreos.com/v1', kind: 'Probe', metadata: {}, spec: { interval: 5 } },
  { apiVersion: 'apps/v1', kind: 'Deployment', metadata: {}, spec: { replicas: 'two' } },
];
for (const resource of wrong) {
  if ((await faults(resource)).length === 0) throw new Error(`not noticed: ${JSON.stringify(resource)}`);
}

let [seen, bad] = [0, 0];
for (const file of readdirSync(`${grafana}kubernetes`)) {
  for (const document of parseAllDocuments(readFileSync(`${grafana}kubernetes/${file}`, 'utf8'))) {
    const resource = document.toJS();
    seen += 1;
    for (const fault of [...document.errors, ...(await faults(resource))]) {
      bad += 1;
      console.error(`${file}: ${resource.kind} ${resource.metadata?.name}: ${fault}`);
    }
  }
}

// What kustomize is to read is there.
const kustomization = parseAllDocuments(readFileSync(`${grafana}kustomization.yaml`, 'utf8'))[0].toJS();
const wanted = [...kustomization.resources, ...kustomization.configMapGenerator.flatMap((map) => map.files)];
for (const file of wanted) readFileSync(grafana + file);
// A ConfigMap holds a mebibyte.
for (const map of kustomization.configMapGenerator) {
  const bytes = map.files.reduce((sum, file) => sum + readFileSync(grafana + file).length, 0);
  if (bytes > 1_000_000) throw new Error(`${map.name}: ${bytes} bytes are too many for a ConfigMap`);
}

if (bad > 0) process.exit(1);
console.log(`${seen} resources as their schemas want them`);
