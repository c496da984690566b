// What a cache of whole answers does that looks into them: inflate, parse, serialise, deflate.
export default {
  async fetch(request, env) {
    const key = new URL(request.url).pathname;
    const found = await env.TIMESERIES_CACHE.get(key);
    const text = await new Response(
      found.body.pipeThrough(new DecompressionStream("gzip")),
    ).text();
    const body = new Response(JSON.stringify(JSON.parse(text))).body;
    return new Response(body.pipeThrough(new CompressionStream("gzip")), {
      encodeBody: "manual",
      headers: { "Content-Type": "application/json", "Content-Encoding": "gzip" },
    });
  },
};
