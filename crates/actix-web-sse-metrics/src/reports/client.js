// Determines why an EventSource gave up, and reports it. Types in client.d.ts.
export function watch(source, reportTo) {
  source.addEventListener('error', async () => {
    if (source.readyState === 2) navigator.sendBeacon(reportTo, await diagnose(source));
  });
  return source;
}

// HEAD opens no stream and uses up no ticket.
export async function diagnose({ url, withCredentials }) {
  const ask = (mode) => fetch(url, {
    method: 'HEAD', mode, cache: 'no-store', headers: { Accept: 'text/event-stream' },
    credentials: withCredentials ? 'include' : 'same-origin',
  });
  let csp;
  const violation = ({ blockedURI }) => { csp ||= url.startsWith(blockedURI); };
  addEventListener('securitypolicyviolation', violation);
  try {
    const { status, headers } = await ask('cors');
    if (status !== 200) return 'http_status';
    return /^text\/event-stream\b/i.test(headers.get('content-type')) ? 'network' : 'content_type';
  } catch {
    // The application knows whether it answered, or a proxy.
    if (await ask('no-cors').catch(() => null)) return 'unreadable';
    await new Promise((done) => setTimeout(done, 50)); // The violation event comes late.
    return csp ? 'csp_blocked' : 'network';
  } finally {
    removeEventListener('securitypolicyviolation', violation);
  }
}
