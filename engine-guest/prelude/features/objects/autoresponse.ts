/**
 * A message on a WebSocket that is answered without waking the object.
 */
import { TypeError, stringWellFormed, toStr, webClass } from "../../primordials.ts";

export class WebSocketRequestResponsePair {
  #request: string;
  #response: string;

  constructor(request: any, response: any) {
    if (arguments.length < 2) throw new TypeError("WebSocketRequestResponsePair needs a request and a response");
    this.#request = stringWellFormed(toStr(request));
    this.#response = stringWellFormed(toStr(response));
  }

  get request(): string {
    return this.#request;
  }

  get response(): string {
    return this.#response;
  }
}
webClass(WebSocketRequestResponsePair, 2);
