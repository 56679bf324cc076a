// One durable object that keeps every socket, and answers a message with how many there are.
export class Room {
  constructor(ctx) {
    this.ctx = ctx;
  }

  async fetch() {
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server);
    return new Response(null, { status: 101, webSocket: client });
  }

  webSocketMessage(socket) {
    socket.send(String(this.ctx.getWebSockets().length));
  }
}

export default {
  async fetch(request, env) {
    return env.ROOM.get(env.ROOM.idFromName("one")).fetch(request);
  },
};
