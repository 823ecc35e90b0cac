// Finds out why an EventSource gave up, and reports it. No dependencies; types in client.d.ts.
const GAVE_UP = 2;

export function watch(source, reportTo) {
  source.addEventListener('error', async () => {
    if (source.readyState === GAVE_UP) navigator.sendBeacon(reportTo, await diagnose(source));
  });
  return source;
}

// HEAD opens no stream and uses up no ticket.
export async function diagnose({ url, withCredentials }) {
  const ask = (mode) => fetch(url, {
    method: 'HEAD', mode, cache: 'no-store',
    credentials: withCredentials ? 'include' : 'same-origin',
    headers: { Accept: 'text/event-stream' },
  });
  let csp = false;
  const violation = (event) => { csp ||= url.startsWith(event.blockedURI); };
  addEventListener('securitypolicyviolation', violation);
  try {
    await ask('no-cors');
  } catch {
    await new Promise((done) => setTimeout(done, 50));
    return csp ? 'csp_blocked' : 'network';
  } finally {
    removeEventListener('securitypolicyviolation', violation);
  }
  try {
    const { status, headers } = await ask('cors');
    if (status !== 200) return 'http_status';
    return /^text\/event-stream\b/i.test(headers.get('content-type')) ? 'network' : 'content_type';
  } catch {
    return 'cors_blocked';
  }
}
