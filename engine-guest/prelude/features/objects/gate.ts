/**
 * What holds events back: while somebody blocks, an event that comes waits, and goes on in its own context afterwards.
 */
import { getContext, setContext } from "../../native.ts";

let blocked = 0;
let waiting: [id: number, run: () => void][] = [];

/** Nobody blocks. */
export function isOpen(): boolean {
  return blocked === 0;
}

/** Runs what an event is for, now or as soon as nobody blocks. */
export function deliver(id: number, run: () => void): void {
  if (blocked === 0) run();
  else waiting[waiting.length] = [id, run];
}

export function block(): void {
  blocked++;
}

export function unblock(): void {
  if (--blocked > 0) return;
  const ready = waiting;
  waiting = [];
  const context = getContext();
  for (let i = 0; i < ready.length; i++) {
    // One of them may have blocked in its turn: the others stay in their order.
    if (blocked > 0) waiting[waiting.length] = ready[i]!;
    else {
      setContext(ready[i]![0]);
      ready[i]![1]();
    }
  }
  setContext(context);
}
