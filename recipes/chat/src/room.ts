import { DurableObject } from "cloudflare:workers";

/** What a room keeps: so many messages, for so long. */
const MESSAGES_MAX = 100;
const KEPT_MS = 7 * 24 * 3_600_000;
const TEXT_MAX = 2_000;

interface Message {
  id: number;
  who: string;
  text: string;
  at: number;
}

/**
 * A room. Its sockets are kept by the platform: while nobody says anything the room has no memory and costs no CPU time,
 * and the next message makes it anew. So who a socket belongs to lies with the socket, and not in a field of the class.
 */
export class Room extends DurableObject<Env> {
  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env);
    ctx.storage.sql.exec(
      "CREATE TABLE IF NOT EXISTS message (id INTEGER PRIMARY KEY, who TEXT NOT NULL, text TEXT NOT NULL, at INTEGER NOT NULL)",
    );
    // Answered without waking the room.
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  async fetch(request: Request): Promise<Response> {
    const who = new URL(request.url).searchParams.get("who")?.trim().slice(0, 40) || "somebody";
    const { 0: client, 1: server } = new WebSocketPair();
    this.ctx.acceptWebSocket(server, [who]);
    server.serializeAttachment({ who });
    server.send(JSON.stringify({ history: this.history() }));
    this.broadcast({ joined: who });
    return new Response(null, { status: 101, webSocket: client } as ResponseInit);
  }

  /** Everybody hears a message after it is durable: what an object sends waits for what it has written. */
  async webSocketMessage(socket: WebSocket, data: string | ArrayBuffer): Promise<void> {
    const text = typeof data === "string" ? data.trim() : "";
    if (text === "" || text.length > TEXT_MAX) {
      socket.send(JSON.stringify({ error: `a message is text of 1 to ${TEXT_MAX} characters` }));
      return;
    }
    const { who } = socket.deserializeAttachment() as { who: string };
    const { sql } = this.ctx.storage;
    const at = Date.now();
    const { id } = sql.exec<{ id: number }>(
      "INSERT INTO message (who, text, at) VALUES (?, ?, ?) RETURNING id", who, text, at,
    ).one();
    sql.exec("DELETE FROM message WHERE id <= ?", id - MESSAGES_MAX);
    if (await this.ctx.storage.getAlarm() === null) await this.ctx.storage.setAlarm(at + KEPT_MS);
    this.broadcast({ message: { id, who, text, at } });
  }

  async webSocketClose(socket: WebSocket): Promise<void> {
    const { who } = socket.deserializeAttachment() as { who: string };
    this.broadcast({ left: who });
  }

  /** Old messages go, and with the last of them the room's file. */
  async alarm(): Promise<void> {
    const { sql } = this.ctx.storage;
    sql.exec("DELETE FROM message WHERE at <= ?", Date.now() - KEPT_MS);
    const oldest = sql.exec<{ at: number | null }>("SELECT min(at) AS at FROM message").one().at;
    if (oldest === null) await this.ctx.storage.deleteAll();
    else await this.ctx.storage.setAlarm(oldest + KEPT_MS);
  }

  history(): Message[] {
    return this.ctx.storage.sql.exec("SELECT id, who, text, at FROM message ORDER BY id").toArray() as unknown as Message[];
  }

  people(): string[] {
    return this.ctx.getWebSockets().map((socket) => this.ctx.getTags(socket)[0]!);
  }

  private broadcast(event: unknown): void {
    const text = JSON.stringify(event);
    for (const socket of this.ctx.getWebSockets()) socket.send(text);
  }
}
