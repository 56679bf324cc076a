// Every request stores one key durably; 64 keys take turns.
let count = 0;

export default {
  async fetch(request, env) {
    count += 1;
    await env.STORE.put(`key-${count % 64}`, `value ${count}`);
    return new Response("Stored.");
  },
};
