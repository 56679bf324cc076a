/**
 * What holds events back: while somebody blocks, an event that comes waits, and goes on in its own context afterwards.
 *
 * Each that waited goes on in an entry of its own, once everything that is behind an `await` of storage in the entry before
 * it is done: two that went on together would come between each other's reads and writes. A timer of no length is such an
 * entry. It ends with the event whose it is, and holds up no other.
 */
import { OP_TIMER, getContext, setContext, start } from "../../native.ts";
import { whenComplete } from "../../operations.ts";
import { promiseResolved, promiseThen } from "../../primordials.ts";

type Held = [id: number, place: number, run: () => void];

export let blocked = 0;
/** In the order of coming. */
let held: Held[] = [];
/** Events that go on in an entry to come. The gate is open when nobody blocks and there are none. */
export let coming = 0;
let places = 0;

/** The place of an event among all of the object. */
export function nextPlace(): number {
  return places++;
}

/** Runs what an event is for, now or when nobody blocks and those before it went on. */
export function deliver(id: number, place: number, run: () => void): void {
  if (blocked > 0) hold([id, place, run]);
  else if (coming > 0) come([id, place, run]);
  else run();
}

/** The same for an event that is in already: no other comes before it. */
export function goOn(id: number, place: number, run: () => void): void {
  if (blocked > 0) hold([id, place, run]);
  else run();
}

function hold(event: Held): void {
  let at = held.length;
  for (; at > 0 && held[at - 1]![1] > event[1]; at--) held[at] = held[at - 1]!;
  held[at] = event;
}

function come(event: Held): void {
  const context = getContext();
  coming++;
  // What is begun in a job is the event's whose job it is; what is begun here, that of whoever let it in.
  setContext(event[0]);
  void promiseThen(promiseResolved(undefined), () => {
    whenComplete(start(OP_TIMER, 0), () => {
      coming--;
      goOn(event[0], event[1], event[2]);
    });
  });
  setContext(context);
}

export function block(): void {
  blocked++;
}

export function unblock(): void {
  if (--blocked > 0) return;
  const ready = held;
  held = [];
  for (let i = 0; i < ready.length; i++) come(ready[i]!);
}
