// The yardstick: puts what it is sent into R2, and streams it back untouched.
export default {
  async fetch(request, env) {
    const key = new URL(request.url).pathname;
    if (request.method === "PUT") {
      await env.TIMESERIES_CACHE.put(key, request.body);
      return new Response("stored");
    }
    const found = await env.TIMESERIES_CACHE.get(key);
    return new Response(found.body, {
      encodeBody: "manual",
      headers: { "Content-Type": "application/json", "Content-Encoding": "gzip" },
    });
  },
};
