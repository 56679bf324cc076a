// Reads what it is sent, and answers with more than a window of a few bytes holds.
export default {
  async fetch(request) {
    const { byteLength } = await request.arrayBuffer();
    return new Response(`read ${byteLength} bytes`);
  },
};
